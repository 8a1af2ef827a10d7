"""Summarize adds the stages that DVC did not run to the parent run, whichever there are."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from pipelines import summarize
from pipelines.params import check_params
from pipelines.workspace.stage_code import STAGE_PARAMS

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("test_summarize.py"))))


class Run:
    """A run that keeps which cached stages were added to it."""

    page = ""

    def __init__(self, parent=None):
        self.parent, self.restored = parent, []

    def add_restored(self, stage, fingerprint, item=None):
        self.restored.append((stage, fingerprint, item))

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def test_every_stage_is_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.write_outputs(tmp_path)
    for name in ("stage_fingerprint", "item_fingerprint"):
        monkeypatch.setattr(summarize, name, lambda stage, *given: f"of {stage}")
    for name in ("outcome", "student_item_fingerprint", "predictor_fingerprint"):
        monkeypatch.setattr(summarize, name, lambda *given: "f")
    monkeypatch.setattr(summarize, "student_identity", lambda *g: SimpleNamespace(fingerprint="f"))
    one = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}
    params = check_params(
        {
            "sampling": {"one": one, "default": {}},
            "students": {"quick": {"kind": "consistency", "samplers": ["one"]}},
            "distil": ["quick"],
            "attributes": {"digit": {"values": ["3", "7"]}},
        }
    )
    student = made.item_json(0.05, 0.1) | {"item": "quick-0.05-one", "student": "quick"}
    inputs = summarize.read_inputs(["0.05-default", "0.1-default"])
    students = [summarize.Item.model_validate(student)]
    pictures = {**inputs.pictures, "quick-0.05-one": {}}
    inputs = summarize.Inputs(**{**vars(inputs), "students": students, "pictures": pictures})
    run = Run(parent=Run())
    summarize.track(run, params, inputs, summarize.summary(inputs.items, {}, {}))
    stages = [stage for stage, *_ in run.restored]
    assert set(stages) == set(STAGE_PARAMS) - {"summarize"}
    assert stages.index("autoencoder") < stages.index("encode") < stages.index("train")
    assert ("encode", "of encode", None) in run.restored
