import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import yaml

from studies import staged
from studies.staged import ROOT, Limit, OutOfMinutes, StageError, run_stages

STAGE = """
import json, os, pathlib, sys, time
task = json.loads(pathlib.Path("task.json").read_text())
pathlib.Path("outputs/begun.json").write_text(json.dumps(dict(os.environ) | {"pid": os.getpid()}))
while time.process_time() < task["seconds"]:
    pass
sys.exit(task["status"])
"""


def test_a_stage_that_ended_well_is_not_run_again_and_one_that_failed_is(tmp_path, capfd):
    params = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    seconds = run_stages(tmp_path, params, ["kinds", "latents.encode"])
    assert set(seconds) == {"kinds", "latents.encode"} and min(seconds.values()) > 0
    assert json.loads((tmp_path / "outputs/latents/latents.json").read_text()) == {"kind": "none"}
    (tmp_path / "outputs/latents/latents.json").unlink()
    assert run_stages(tmp_path, params, ["latents.encode"]) == seconds
    assert not (tmp_path / "outputs/latents/latents.json").exists()
    for _ in range(2):
        with pytest.raises(StageError, match=r"pipelines\.reference failed"):
            run_stages(tmp_path, params, ["reference"])
        assert "error: " in capfd.readouterr().err


def test_results_made_elsewhere_are_linked_to(tmp_path):
    (tmp_path / "shared").mkdir()
    run_stages(tmp_path / "run", {}, [], {"dataset": tmp_path / "shared"})
    assert (tmp_path / "run/outputs/dataset").resolve() == tmp_path / "shared"


@pytest.fixture
def burn(tmp_path, monkeypatch):
    """A function that sets what the stages `burn` and `burn again` use and how they end."""
    code = tmp_path / "code" / "pipelines"
    code.mkdir(parents=True)
    (code / "__init__.py").touch()
    (code / "burn.py").write_text(STAGE)
    monkeypatch.setattr(staged, "ROOT", code.parent)
    (tmp_path / "run").mkdir()

    def task(seconds, status=0):
        content = json.dumps({"seconds": seconds, "status": status})
        (tmp_path / "run/task.json").write_text(content)

    return task


def begun(folder):
    return json.loads((folder / "run/outputs/begun.json").read_text())


def test_seconds_of_starts_that_failed_count(tmp_path, burn):
    folder = tmp_path / "run"
    burn(0.4, status=1)
    for times in (1, 2):
        with pytest.raises(StageError):
            run_stages(folder, {}, ["burn"])
        spent = json.loads((folder / staged.SPENT).read_text())
        assert spent["burn"] >= 0.4 * times and not (folder / staged.DONE).exists()
    burn(0.4)
    seconds = run_stages(folder, {}, ["burn", "burn again"])
    assert seconds["burn"] >= 1.2 and 0.4 <= seconds["burn again"] < seconds["burn"]
    assert json.loads((folder / staged.DONE).read_text()) == seconds


def test_an_interrupted_stage_is_ended_and_its_seconds_count(tmp_path, burn, monkeypatch):
    def interrupt(number):
        if staged.psutil.Process(number).cpu_times().user > 0.4:
            raise KeyboardInterrupt
        return 0.0

    burn(60)
    with monkeypatch.context() as patch:
        patch.setattr(staged, "NOTED_EVERY", 0.1)
        patch.setattr(staged, "_seconds_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_stages(tmp_path / "run", {}, ["burn"])
    assert not staged.psutil.pid_exists(begun(tmp_path)["pid"])
    burn(0.2)
    assert run_stages(tmp_path / "run", {}, ["burn"])["burn"] >= 0.6


def test_seconds_up_to_a_kill_of_the_study_itself_count(tmp_path, burn):
    folder = tmp_path / "run"
    burn(60)
    lines = (
        "import pathlib, sys",
        "from studies import staged",
        "staged.ROOT, staged.NOTED_EVERY = pathlib.Path(sys.argv[1]), 0.1",
        "staged.run_stages(pathlib.Path(sys.argv[2]), {}, ['burn'])",
    )
    words = [sys.executable, "-c", "\n".join(lines), str(staged.ROOT), str(folder)]
    study = subprocess.Popen(words, cwd=ROOT)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and staged._kept(folder / staged.SPENT).get("burn", 0) < 0.4:
            time.sleep(0.05)
    finally:
        study.kill()
        study.wait()
        os.kill(begun(tmp_path)["pid"], signal.SIGKILL)
    burn(0.2)
    assert run_stages(folder, {}, ["burn"])["burn"] >= 0.6


def test_stages_have_one_thread_whatever_the_shell_says(tmp_path, burn, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    burn(0.1)
    run_stages(tmp_path / "run", {}, ["burn"])
    found = begun(tmp_path)
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == "1"
    assert found["GOMP_SPINCOUNT"] == "0"


def test_no_stage_begins_after_the_minutes_and_the_next_start_goes_on(tmp_path, burn, monkeypatch):
    folder, both = tmp_path / "run", ["burn", "burn again"]
    burn(0.1)

    def clock():
        """An hour has passed once the first stage has run."""
        return 3600.0 if (folder / staged.DONE).exists() else 1.0

    monkeypatch.setattr(staged, "time", SimpleNamespace(monotonic=clock))
    with pytest.raises(OutOfMinutes, match=r"before burn .* 60\.0 of --minutes 45: the same comm"):
        run_stages(folder, {}, both, limit=Limit(45, since=0.0))
    assert set(json.loads((folder / staged.DONE).read_text())) == {"burn"}
    assert set(run_stages(folder, {}, both, limit=Limit(45, since=3599.0))) == set(both)
    assert run_stages(folder, {}, both, limit=Limit(45, since=0.0))  # nothing is left to begin
