"""Which run of the study lies in a folder, told from the notes beside it."""

import json

import pytest

from pipelines.params import load_params
from sampling.config import SamplerConfig
from studies.structure.arms import check_same_settings

INPUTS = {"init": "abc", "dataset": "def"}


@pytest.fixture
def settings():
    found = load_params("presets/digits.yaml").run_settings()
    structure = found.structure.model_copy(update={"sampler": SamplerConfig(solver="ddim")})
    return found.model_copy(update={"structure": structure})


@pytest.fixture
def noted(settings, tmp_path):
    """noted(edit): a run of `settings` whose note was written by another version."""
    folder = tmp_path / "graph-0-64"
    check_same_settings({("graph", 0): (settings, folder)}, INPUTS)

    def change(edit, now=settings, inputs=INPUTS):
        note = folder / "settings.json"
        values = json.loads(note.read_text())
        edit(values)
        note.write_text(json.dumps(values))
        check_same_settings({("graph", 0): (now, folder)}, inputs)
        return json.loads(note.read_text())

    return change


def test_a_field_that_came_later_makes_no_other_run(noted, settings):
    """Its value is the default: the run was made without it, and is noted in full from now on."""
    assert settings.train.adam_betas == type(settings.train)().adam_betas

    def edit(values):
        del values["train"]["adam_betas"], values["structure"]["gate"], values["grid_cache"]
        del values["model"]["structural_blocks"][0]["k"]

    after = noted(edit)
    assert after["train"]["adam_betas"] == list(settings.train.adam_betas)


def test_a_field_that_came_later_and_is_not_at_its_default_does(noted, settings):
    train = settings.train.model_copy(update={"adam_betas": (0.5, 0.9)})
    with pytest.raises(ValueError, match="holds a run of other settings: give another --out"):
        noted(
            lambda values: values["train"].pop("adam_betas"),
            settings.model_copy(update={"train": train}),
        )


def test_a_field_that_is_gone_is_passed_over(noted):
    def edit(values):
        values["train"]["loss_scale"] = 2.0
        values["model"]["structural_blocks"][0]["bias"] = True
        values["model"]["structural_blocks"][1]["dropout"] = 0.1
        values["structure"]["sampler"]["guidance_scale"] = None

    assert "loss_scale" not in noted(edit)["train"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values["train"].update(lr=0.5),
        lambda values: values.update(seed=7),
        lambda values: values["model"]["structural_blocks"].pop(),
        lambda values: values["structure"]["sampler"]["solver_options"].update(eta=1.0),
        lambda values: values["structure"].update(kind="a kind of long ago"),
    ],
)
def test_other_settings_are_refused(noted, edit):
    with pytest.raises(ValueError, match="other settings"):
        noted(edit)


def test_other_inputs_are_refused(noted):
    with pytest.raises(ValueError, match="other starting weights or another data set"):
        noted(lambda values: None, inputs=INPUTS | {"init": "xyz"})


def test_a_damaged_note_is_no_run_of_these_settings(settings, tmp_path):
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="other settings"):
        check_same_settings({("graph", 0): (settings, tmp_path)}, INPUTS)
