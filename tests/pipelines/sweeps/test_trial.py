"""What is kept of a trial's judgements, and when it counts."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipelines.sweep import JUDGING_FILES, JUDGING_FOLDERS, judging_basis
from pipelines.sweeps.quick_evaluation import QuickEvaluation
from pipelines.sweeps.trial import RungJudge
from sampling.config import SamplerConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """judge(basis) -> metrics of one snapshot; judge.measured counts real measurements."""
    weights = tmp_path / "snapshots" / "000000001000-0.1.safetensors"
    weights.parent.mkdir()
    save_file({"w": np.zeros(3)}, weights)
    measured = []

    def measure(self, path, sampler):
        measured.append(self.basis)
        return {"kid": float(len(measured))}

    monkeypatch.setattr(QuickEvaluation, "measure", measure)

    def run(basis):
        evaluation = QuickEvaluation("data", "reference", None, 0, 16, 16, 5, "{}", basis)
        return RungJudge(evaluation, SamplerConfig(), (1000,), 1000, tmp_path, "kid").judge(weights)

    run.measured = measured
    return run


def test_a_judgement_is_kept_for_the_same_reference_and_code_only(judge):
    assert judge("one") == judge("one") == {"kid": 1.0}
    assert judge("two") == {"kid": 2.0}  # another reference: another feature space
    assert judge("one") == {"kid": 1.0} and judge.measured == ["one", "two"]


def test_a_judgement_without_the_objective_breaks_the_trial(judge, tmp_path):
    evaluation = QuickEvaluation("data", "reference", None, 0, 16, 16, 5, "{}")
    near = RungJudge(evaluation, SamplerConfig(), (1000,), 1000, tmp_path, "density_from_floor")
    with pytest.raises(ValueError, match="density_from_floor is not a number at 1 kimg"):
        near.judge(tmp_path / "snapshots" / "000000001000-0.1.safetensors")


def test_the_basis_changes_with_the_reference_and_with_the_code(tmp_path, monkeypatch):
    for name in (*JUDGING_FOLDERS, *JUDGING_FILES[:-1]):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (tmp_path / "training" / "loop.py").write_text("")
    (tmp_path / "outputs" / "reference").mkdir(parents=True)
    (tmp_path / JUDGING_FILES[-1]).write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = [judging_basis()]
    for name in (
        "training/loop.py",
        "evaluation/kid.py",
        "pipelines/sweeps/quick_evaluation.py",
        "outputs/reference/reference.json",
    ):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        found.append(judging_basis())
    assert found[0] == found[1] and len(set(found)) == 4


def test_every_module_that_judges_is_part_of_the_basis():
    """All that pipelines/sweeps/quick_evaluation.py imports of the project, but for settings."""
    text = (ROOT / "pipelines" / "sweeps" / "quick_evaluation.py").read_text()
    imported = {n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
    own = {name for name in imported if (ROOT / name.split(".")[0]).is_dir()}
    rest = {
        name.replace(".", "/") + ".py" for name in own if name.split(".")[0] not in JUDGING_FOLDERS
    }
    assert rest - {"training/run_settings.py", "foundation/workers.py"} <= set(JUDGING_FILES)
