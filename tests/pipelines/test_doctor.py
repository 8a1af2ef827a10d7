"""What the doctor says of the place in which the stages will run, and what it mends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import pipelines.doctor
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]


def test_a_downloaded_archive_runs_without_git(workspace):
    """`dvc repro` once said "is not a git repository" after the doctor had found nothing amiss."""
    (workspace / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", workspace / ".dvc")
    shutil.copy(ROOT / "presets" / "digits.yaml", workspace / "params.yaml")
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": bin_folder + os.pathsep + os.environ["PATH"],
        "PYTHONPATH": str(workspace),
        "GIT_CEILING_DIRECTORIES": str(workspace.parent),
    }

    def run(*words: str) -> str:
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed = run("python", "-m", "pipelines.doctor", "--quick").splitlines()
    notes = [line for line in printed if line.startswith("note") and "git" in line]
    assert len(notes) == 2
    assert "core.no_scm = true written to .dvc/config.local" in notes[0]
    assert "`dvc exp` and pipelines.replicate do not" in notes[1]
    assert "git init && git add -A && git commit" in notes[1]
    run("dvc", "repro", "kinds")
    assert (workspace / "outputs" / "kinds").is_dir()


def doctor(monkeypatch, capsys, *words):
    """(exit message or None, the lines it printed)"""
    monkeypatch.setattr(sys, "argv", ["doctor", *words])
    try:
        pipelines.doctor.main()
        told = None
    except SystemExit as stop:
        told = stop.code
    return told, capsys.readouterr().out.splitlines()


def of(heading, lines):
    return [line[11:] for line in lines if line.split()[0] == heading]


@pytest.fixture
def tiny(workspace, monkeypatch):
    """A workspace with a tiny network; `tiny(changes)` writes params.yaml."""
    monkeypatch.delenv("DVC_ROOT", raising=False)

    def write(**changes):
        raw = read_yaml(ROOT / "presets" / "digits.yaml")
        small = {"model.channels": 8, "model.structural_blocks": [], "structure.width": 8}
        small |= {"train.batch_size": 16, "structure.batch_size": 8}
        named = {key.replace("__", "."): value for key, value in changes.items()}
        text = yaml.safe_dump(with_values(raw, small | named), sort_keys=False)
        (workspace / "params.yaml").write_text(text)

    return write


def test_a_data_folder_that_does_not_exist_is_refused_before_anything_is_measured(
    tiny, monkeypatch, capsys
):
    tiny(dataset__source="image_folder", dataset__path="photos", train__init_from="w.safetensors")
    told, lines = doctor(monkeypatch, capsys)
    assert told == "error: 2 problems: nothing was started"
    missing, weights = of("problem", lines)
    assert "photos does not exist: correct the path in params.yaml" in missing
    assert "train.init_from: w.safetensors does not exist" in weights
    assert not of("speed", lines)


def test_speed_time_disk_and_precision_are_told(tiny, workspace, monkeypatch, capsys):
    tiny()
    told, lines = doctor(monkeypatch, capsys)
    assert told is None and not of("problem", lines)
    (speed,), (time, judging), (precision,) = (
        of(heading, lines) for heading in ("speed", "time", "precision")
    )
    assert speed.startswith("a step of 16 images takes ") and speed.endswith("(processors, fp32)")
    assert " with a play" in speed
    assert time.startswith("training about ") and "images for 5 evaluations about" in time
    assert judging.startswith("judging 5 items of 512 images (20 draws of at most 512 on either")
    assert "side) at most about " in judging and "reading images" in judging
    assert precision.startswith("fp32; bf16")
    assert "GB free, about 2" in of("disk", lines)[0]
    (network,), (memory,) = of("network", lines), of("memory", lines)
    assert " parameters (with 10 classes); one evaluation of one image of 1x8x8 takes " in network
    assert memory.endswith("activations and the game's networks come on top")
    assert (workspace / ".runs" / "speed.json").is_file()


@pytest.mark.parametrize("words", [(), ("--quick",)])
def test_the_speed_of_bf16_is_measured_and_told_once(tiny, monkeypatch, capsys, words):
    tiny(train__precision="bf16")
    timings = iter((1.9, 1.5))
    monkeypatch.setattr("pipelines.checkup.machine._judging", lambda params: "judging")
    monkeypatch.setattr("pipelines.doctor.busy_remark", lambda: "rough: busy")
    monkeypatch.setattr("training.precision_speed.bf16_slowdown", lambda: next(timings))
    _, lines = doctor(monkeypatch, capsys, *words)
    (told,) = (line for line in lines if "bf16 is" in line)
    assert "bf16 is 1.9 times slower" in told and told.endswith("set train.precision to fp32")
    assert next(timings) == 1.5
    assert "processors; speed and time below are rough: busy" in of("machine", lines)[0]


def test_quick_measures_nothing_and_names_what_params_do_not(tiny, workspace, monkeypatch, capsys):
    tiny()
    for name in ("outputs/unused/0.3-heun18", "outputs/evaluate/0.1-old"):
        (workspace / name).mkdir(parents=True)
        (workspace / name / "metrics.json").write_text("x" * 1500)
    told, lines = doctor(monkeypatch, capsys, "--quick")
    assert told is None and not of("speed", lines)
    assert not (workspace / ".runs" / "speed.json").exists()
    left = next(note for note in of("note", lines) if "do not name" in note)
    assert left == (
        "params do not name 2 results in outputs/ (0.3-heun18, 0.1-old; 3.0 kB): "
        "python -m pipelines.clean --stale  removes them"
    )


def test_a_full_disk_is_a_problem(tiny, monkeypatch, capsys):
    tiny()
    monkeypatch.setattr("pipelines.doctor.disk_free", lambda: 1e9)
    told, lines = doctor(monkeypatch, capsys, "--quick")
    assert told == "error: 1 problem: nothing was started"
    assert "1.0 GB are free, and this run needs about 2.0 GB: make room" in of("problem", lines)[0]


def test_students_are_named_before_they_are_trained():
    raw = read_yaml(ROOT / "presets" / "fashion_mnist_distil.yaml")
    plan = dict(pipelines.doctor.plan(check_params(raw)))
    assert "distil, evaluate_students, summarize" in plan["stages"]
    said = [
        text for heading, text in pipelines.doctor.plan(check_params(raw)) if heading == "student"
    ]
    assert said[0] == (
        "matched: distribution_matching, 160 kimg from the teacher of EMA length 0.1; 2 (EMA "
        "length, sampler) pairs judged"
    )
    assert len(said) == 3
    none = dict(pipelines.doctor.plan(check_params({**raw, "distil": []})))
    assert "student" not in none and "distil" not in none["stages"]
