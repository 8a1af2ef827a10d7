"""What is kept of a trial's judgements, and when it counts."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipelines.quick_evaluation import QuickEvaluation
from pipelines.sweep import judging_basis
from pipelines.sweep_trial import RungJudge
from sampling.config import SamplerConfig


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
        evaluation = QuickEvaluation("data", "reference", None, 0, 16, 16, 5, basis, "{}")
        return RungJudge(evaluation, SamplerConfig(), (1000,), 1000, tmp_path, "kid").judge(weights)

    run.measured = measured
    return run


def test_a_judgement_is_kept_for_the_same_reference_and_code_only(judge):
    assert judge("one") == judge("one") == {"kid": 1.0}
    assert judge("two") == {"kid": 2.0}  # another reference: another feature space
    assert judge("one") == {"kid": 1.0} and judge.measured == ["one", "two"]


def test_the_basis_changes_with_the_reference_and_with_the_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("evaluation/judge.py", "training/loop.py", "outputs/reference/reference.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    stages = {"stages": {"evaluate": {"deps": ["evaluation", "outputs/reference"]}}}
    (tmp_path / "dvc.yaml").write_text(json.dumps(stages))
    found = [judging_basis()]
    for name in ("training/loop.py", "evaluation/judge.py", "outputs/reference/reference.json"):
        (tmp_path / name).write_text('{"extractor": "other"}')
        found.append(judging_basis())
    assert found[0] == found[1] and len(set(found)) == 3
