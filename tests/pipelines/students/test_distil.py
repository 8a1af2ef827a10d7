"""The distil stage's own business: what is told before anything is trained, and no student."""

import json
import sys
from pathlib import Path

import pytest

from pipelines.params import load_params
from pipelines.students import distil, evaluate

ROOT = Path(__file__).resolve().parents[3]
STUDENT = {"kind": "consistency", "samplers": ["one"]}
ONE = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}


@pytest.fixture
def stage(tmp_path, monkeypatch, copy_code):
    """run(names, *options) runs `distil` with these students listed."""
    copy_code(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)

    def run(names, *options, module=distil):
        raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
        raw["sampling"]["one"] = ONE
        raw |= {"students": {"quick": STUDENT}, "distil": names, "tracking": {"enabled": False}}
        Path("params.yaml").write_text(json.dumps(raw))
        monkeypatch.setattr(sys, "argv", ["stage", *options])
        module.main()

    return run


def test_without_students_both_stages_write_an_empty_list(stage, capsys):
    left = Path("outputs/students/gone")
    left.mkdir(parents=True)
    stage([])
    stage([], module=evaluate)
    assert json.loads(Path("outputs/students/students.json").read_text()) == {"students": []}
    items = json.loads(Path("outputs/evaluate_students/items.json").read_text())
    assert items == {"items": []} and not left.exists()
    assert capsys.readouterr().out.count("params list no student") == 2
    assert not Path(".runs").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fresh", "quik"], "^--fresh quik is not in distil: did you mean 'quick'"),
        (["--adopt", "0123"], "^--adopt 0123: no student has an unfinished run of that"),
    ],
)
def test_names_that_fit_nothing_are_told(stage, options, told):
    with pytest.raises(ValueError, match=told):
        stage(["quick"], *options)


def test_a_missing_teacher_is_told_with_its_mend(stage, monkeypatch):
    monkeypatch.setattr(distil, "training_dataset", lambda params: None)
    with pytest.raises(ValueError, match=r"0\.1\.safetensors, the teacher of q.* reconstruct"):
        stage(["quick"])
    assert not Path("outputs/students/students.json").exists()
