"""What is kept of a trial's judgements, and when it counts."""

import ast
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.ema_reconstruction import snapshot_name
from pipelines.params import check_params, load_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.sweeps import trial
from pipelines.sweeps.judging_basis import ENTRY, judging_basis
from pipelines.sweeps.quick_evaluation import QuickEvaluation
from pipelines.sweeps.space import SweepConfig
from pipelines.sweeps.trial import RungJudge, TrialTask, longest_average
from pipelines.workspace.fingerprint import train_params_hash
from pipelines.workspace.imports import closure
from pipelines.workspace.stage_code import RULES, TABLES
from pipelines.workspace.wanted_runs import wanted
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


def test_a_trial_that_begins_is_noted_as_wanted_by_its_sweep(tmp_path, monkeypatch):
    """Before its first rung, from where on trials.json names its run; pipelines.clean keeps it."""

    class Begun(Exception):
        pass

    def begun(path):
        raise Begun(path)

    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    sweep = SweepConfig(name="lr", space={"train.lr": {"loguniform": [0.001, 0.1]}})
    task = TrialTask(str(ROOT), str(tmp_path), sweep.model_dump_json(), raw, None)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(trial, "FileLock", begun)
    with pytest.raises(Begun):
        trial.run_trial({"train.lr": 0.02}, task)
    params = check_params(with_values(raw, {"train.lr": 0.02}))
    assert wanted(tmp_path) == {train_params_hash(params): "the sweep lr"}


def test_a_judgement_is_kept_for_the_same_reference_and_code_only(judge):
    assert judge("one") == judge("one") == {"kid": 1.0}
    assert judge("two") == {"kid": 2.0}  # another reference: another feature space
    assert judge("one") == {"kid": 1.0} and judge.measured == ["one", "two"]


@pytest.mark.parametrize(
    ("old", "new"), [(b"1.0", b"3.0"), (b'"metrics"', b'"metricc"'), (b"{", b"\xff"), (b"}", b"")]
)
def test_a_judgement_that_was_damaged_is_made_again(judge, tmp_path, old, new):
    assert judge("one") == {"kid": 1.0}
    path = tmp_path / "rungs.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new))
    assert judge("one") == {"kid": 2.0} and judge.measured == ["one", "one"]


def test_a_judgement_without_the_objective_breaks_the_trial(judge, tmp_path):
    evaluation = QuickEvaluation("data", "reference", None, 0, 16, 16, 5, "{}")
    near = RungJudge(evaluation, SamplerConfig(), (1000,), 1000, tmp_path, "density_from_floor")
    with pytest.raises(ValueError, match="density_from_floor is not a number at 1 kimg"):
        near.judge(tmp_path / "snapshots" / "000000001000-0.1.safetensors")


def test_the_basis_changes_with_the_reference_and_with_the_code(copy_code, tmp_path, monkeypatch):
    copy_code(tmp_path)
    (tmp_path / "outputs" / "reference").mkdir(parents=True)
    (tmp_path / "outputs" / "reference" / "reference.json").write_text("{}")
    params = load_params(ROOT / "presets" / "digits.yaml")
    monkeypatch.chdir(tmp_path)
    found = [judging_basis(params, "heun18")]
    for name, counts in {
        "training/loop.py": False,
        "pipelines/ray_jobs/training.py": False,
        "discriminators/graph.py": False,
        "sampling/solvers/unipc.py": False,
        "sampling/solvers/heun.py": True,
        "evaluation/kid.py": True,
        "training/held_out.py": True,
        "pipelines/sweeps/quick_evaluation.py": True,
        "outputs/reference/reference.json": True,
    }.items():
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        found.append(judging_basis(params, "heun18"))
        assert (found[-1] != found[-2]) == counts, name
    assert judging_basis(params, "fast8") != found[-1]  # another solver judges


def test_every_module_that_judges_is_part_of_the_basis(monkeypatch):
    """All that pipelines/sweeps/quick_evaluation.py imports of the project."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / "pipelines" / "sweeps" / "quick_evaluation.py").read_text()
    imported = {n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
    own = {name for name in imported if name and (ROOT / name.split(".")[0]).is_dir()}
    assert {"evaluation.kid", "models.denoiser", "training.held_out"} <= own
    files = closure(ENTRY, RULES, dict.fromkeys(TABLES, ()))
    places = {Path(name.replace(".", "/")) for name in own}
    places = {p / "__init__.py" if p.is_dir() else p.with_suffix(".py") for p in places}
    assert places <= files


def test_the_longest_average_is_read_off_exact_names(tmp_path):
    for length in (1e-05, 0.1, 0.1000001):
        (tmp_path / snapshot_name(64, length)).with_suffix(".json").touch()
    assert longest_average(tmp_path, 64) == tmp_path / snapshot_name(64, 0.1000001)
