"""A sweep over the game is refused where its trials could not measure the game."""

import pytest

from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.sweeps.space import Sweep, SweepConfig

RAW = read_yaml("presets/image_folder.yaml")
LR = {"structure.lr": {"loguniform": [0.001, 0.01]}}
KIND = {"structure.kind": {"choice": ["none", "graph"]}}


def sweep(space, values=None, **settings):
    config = SweepConfig.model_validate({"name": "s", "space": space, **settings})
    return Sweep(config, with_values(RAW, values or {}))


@pytest.mark.parametrize("space", [LR, KIND, LR | {"train.lr": {"uniform": [0.01, 0.02]}}])
def test_a_sampler_without_the_adapter_measures_no_game(space):
    with pytest.raises(ParamsError) as caught:
        sweep(space)
    said = str(caught.value)
    assert "\n" not in said and said.startswith(f"sweep.yaml: space: {next(iter(space))} would")
    assert "judged by heun18 (evaluation.sampler is null, so it is the first of `samplers`)" in said
    assert said.endswith("which does not use it: set evaluation.sampler to few5_game")
    with pytest.raises(ParamsError, match="judged by few5, which does not use it"):
        sweep(space, evaluation={"sampler": "few5"})
    sweep(space, evaluation={"sampler": "few5_game"})


def test_a_sampler_may_get_the_adapter_and_the_denoiser_may_lose_it():
    sweep(LR | {"sampling.heun18.adapter": True})
    sweep(LR | {"sampling.heun18.adapter": {"choice": [False, True]}})
    without = {"sampling.few5_game.adapter": False}
    sweep(LR | {"model.adapter_rank": {"choice": [0, 8]}}, without)
    sweep(LR, without | {"model.adapter_rank": 0})
    with pytest.raises(ParamsError, match="add a sampler with adapter: true under `sampling`, and"):
        sweep(LR, without)


def test_the_held_out_loss_is_that_of_the_plain_denoiser():
    for metric in ("held_out/loss", "held_out/gap"):
        with pytest.raises(ParamsError, match=f"the metric {metric} is .*: choose kid"):
            sweep(LR, metric=metric, evaluation={"sampler": "few5_game"})


def test_keys_of_a_game_that_is_not_played_are_refused():
    with pytest.raises(ParamsError, match=r"structure\.lr would .*kind is none.*choose a game"):
        sweep(LR | {"structure.kind": "none"}, evaluation={"sampler": "few5_game"})
    sweep({"structure.kind": "none", "train.lr": {"uniform": [0.01, 0.02]}})
