"""docs/scale_out.md: its snippets are run, with stand-ins for machines that are not here."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from pipelines.params import load_params
from pipelines.settings.cluster import ClusterConfig
from pipelines.settings.tracking import TrackingConfig
from pipelines.tracking.stage_run import stage_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scale_out.md").read_text()
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def snippet(kind, part):
    """The only snippet of the page, in this language, that has `part` in it."""
    (found,) = [text for language, text in SNIPPETS if language == kind and part in text]
    return found


def test_its_params_are_params():
    for kind, text in SNIPPETS:
        if kind == "yaml" and "apiVersion" not in text:
            raw = yaml.safe_load(text)
            ClusterConfig.model_validate(raw.get("cluster", {}))
            TrackingConfig.model_validate(raw.get("tracking", {}))
    second = re.search(r"# (storage: \S+)", PAGE)
    assert second is not None
    assert ClusterConfig.model_validate(yaml.safe_load(second[1])).storage == "/mnt/shared/sadm"


def test_the_ray_job_names_the_ray_that_is_pinned():
    job = yaml.safe_load(snippet("yaml", "apiVersion"))["spec"]["rayClusterSpec"]
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None and job["rayVersion"] == pinned[1]
    groups = [job["headGroupSpec"], *job["workerGroupSpecs"]]
    mounts = [g["template"]["spec"]["containers"][0]["volumeMounts"] for g in groups]
    assert mounts[0] == mounts[1] and "/project" in str(mounts)


STAND_INS = {
    "srun": 'echo "srun $*" >> calls',
    "ray": "exit 1",
    "dvc": 'echo "dvc $*" >> calls',
    "scontrol": '[ "$1" = show ] && printf "node1\\nnode2\\n"; echo "scontrol $*" >> calls',
    "openssl": "echo 0123",
    "python": "exec python3 train.py",
}
TRAINING = """
import signal, sys, time
def leave(number, frame):
    time.sleep(0.3)  # it saves
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
open("begun", "w").close()
end = time.time() + float(sys.argv[1] if len(sys.argv) > 1 else 30)
while time.time() < end:
    time.sleep(0.02)
"""


@pytest.mark.parametrize("told_to_stop", [True, False])
def test_the_slurm_script_queues_itself_again_where_training_was_told_to_stop(
    tmp_path, told_to_stop
):
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name, line in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/bash\n{line}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "train.py").write_text(TRAINING if told_to_stop else "open('begun', 'w')\n")
    (tmp_path / "job.sh").write_text(snippet("bash", "#SBATCH"))
    slurm = {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_ID": "7", "RAY_START_SECONDS": "0"}
    job = subprocess.Popen(["bash", "job.sh"], cwd=tmp_path, env=os.environ | slurm)
    deadline = time.time() + 30
    while not (tmp_path / "begun").exists() and time.time() < deadline:
        time.sleep(0.02)
    if told_to_stop:
        time.sleep(0.2)
        job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=30) == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert any(c.startswith("srun") and "-w node1 ray start --head" in c for c in calls)
    assert any("--exclude node1 ray start --address node1:6379" in c for c in calls)
    last = "scontrol requeue 7" if told_to_stop else "dvc repro"
    assert calls[-1] == last and "dvc repro prepare reference latents.encode" in calls


@pytest.mark.slow
def test_runs_reach_the_mlflow_server_of_the_page(tmp_path):
    from mlflow.tracking import MlflowClient

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = snippet("bash", "mlflow server").replace("\\\n", " ").replace("5000", str(port))
    server = subprocess.Popen(
        [sys.executable, "-m", *words.split(), "--workers", "1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = yaml.safe_load(snippet("yaml", "tracking:"))["tracking"]["uri"]
    address = address.replace("5000", str(port))
    try:
        deadline = time.time() + 90
        while time.time() < deadline:
            try:
                assert urlopen(f"{address}/health", timeout=5).status == 200
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.1)
        MlflowClient(address).search_experiments()  # its first answer may take longer than we wait
        (tmp_path / "params.yaml").write_text(
            f"tracking: {{uri: '{address}', system_metrics: false}}\n"
        )
        (tmp_path / "curves.csv").write_text("nimg,loss\n")
        params = load_params(tmp_path / "params.yaml")
        with stage_run("train", params, "tag", "print", root=tmp_path) as run:
            run.log_metrics({"loss": 0.25})
            run.log_artifact(tmp_path / "curves.csv")
        client = MlflowClient(address)
        (kept,) = client.search_runs(["1"], "tags.stage = 'train'")
        assert kept.info.status == "FINISHED" and kept.data.metrics["loss"] == 0.25
        assert "curves.csv" in {file.path for file in client.list_artifacts(kept.info.run_id)}
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.slow
def test_results_come_back_from_the_remote_of_the_page(tmp_path):
    """A project of one stage, with the page's commands."""
    lines = [line.partition(" #")[0] for line in snippet("bash", "dvc push").splitlines()]
    here, remote, elsewhere = tmp_path / "here", tmp_path / "remote", tmp_path / "elsewhere"
    here.mkdir()
    (here / "dvc.yaml").write_text("stages: {make: {cmd: echo made > out, outs: [out]}}\n")
    script = [
        "set -e; git init -q .; git config user.name T; git config user.email t@localhost",
        "dvc init -q; dvc repro -q; git add -A",
        lines[0].replace("/mnt/shared/dvc", str(remote)),
        "git add -A; git commit -qm made",
        lines[1],
        lines[2]
        .replace("PROJECT elsewhere", f"{here} {elsewhere}")
        .replace("cd elsewhere", f"cd {elsewhere}"),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=here,
        env=kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
        check=True,
        capture_output=True,
    )
    assert (elsewhere / "out").read_text() == "made\n"
