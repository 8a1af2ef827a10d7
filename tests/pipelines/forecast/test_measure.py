"""A few steps of a throw-away network: what they cost, and that they leave nothing behind."""

import runpy
from pathlib import Path

import pytest
import torch

from dataset.store import ImageDataset
from pipelines.forecast import kept, measure
from pipelines.forecast.stand_in import write_stand_in
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
NEARBY = runpy.run_path(str(Path(__file__).with_name("counted_work.py")))
TINY = {
    "model.channels": 8,
    "model.structural_blocks": [],
    "structure.width": 8,
    "train.batch_size": 16,
    "structure.batch_size": 8,
    "cluster.num_workers": 2,  # so each has one thread here
}


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return check_params(with_values(read_yaml(ROOT / "presets" / "digits.yaml"), TINY))


def trial(params, tmp_path, **structure):
    write_stand_in(params.dataset, tmp_path)
    settings = params.run_settings()
    game = settings.structure.model_copy(update=structure)
    settings = settings.model_copy(update={"structure": game})
    return measure.Trial(settings, ImageDataset(tmp_path), torch.device("cpu"))


def test_all_costs_are_measured_and_the_generator_is_left_alone(params, tmp_path, monkeypatch):
    write_stand_in(params.dataset, tmp_path)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    settings, device = params.run_settings(), torch.device("cpu")
    clock = NEARBY["work_clock"](monkeypatch)
    found = measure.measure(settings, ImageDataset(tmp_path), 2, device, clock)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
    assert found.costs.step > 0 and found.costs.play > 0 and found.costs.evaluation > 0
    # Weights, two of Adam, two averages; the game's own come on top.
    assert found.checkpoint_bytes > 5 * found.parameter_bytes > 0


@pytest.mark.parametrize("fakes", ["onestep", "deployed"])
def test_plays_begin_when_the_game_is_opened_and_move_the_denoiser(params, tmp_path, fakes):
    run = trial(params, tmp_path, fakes=fakes)
    run.step(4)
    assert run.game.plays == 0
    run.open(4)
    run.step(4)
    assert run.game.plays >= 2 and run.game.gate.open
    assert "structure/adv_grad" in run.state.window, "the gate was shut"


def test_a_control_has_no_plays(params, tmp_path):
    write_stand_in(params.dataset, tmp_path)
    plain = params.run_settings()
    none = plain.structure.model_copy(update={"kind": "none"})
    plain = plain.model_copy(update={"structure": none})
    found = measure.measure(plain, ImageDataset(tmp_path), 2, torch.device("cpu"))
    assert found.costs.play == 0


def test_a_measurement_is_kept_for_the_same_network_and_batch(params, tmp_path, monkeypatch):
    found = kept.measured(params, tmp_path)
    monkeypatch.setattr(kept, "measure", None)  # a second measurement would fail
    assert kept.measured(params, tmp_path) == found
    assert kept.kept_costs(params, tmp_path) == found.costs
    longer = check_params(with_values(params.model_dump(mode="json"), {"train.total_kimg": 500}))
    assert kept.kept_costs(longer, tmp_path) == found.costs
    wider = check_params(with_values(params.model_dump(mode="json"), {"model.channels": 16}))
    assert kept.kept_costs(wider, tmp_path) is None
    (tmp_path / kept.FILE).write_text("{")
    assert kept.kept_costs(params, tmp_path) is None


@pytest.mark.parametrize(
    ("seconds", "said"), [([3.0, 0.5], 0.5), ([0.9, 0.3, 0.2], 0.2), ([3.0, 2.0], 2.0)]
)
def test_the_first_call_which_may_be_cold_does_not_count(
    params, tmp_path, monkeypatch, seconds, said
):
    run, left = trial(params, tmp_path), iter(seconds)
    monkeypatch.setattr(run, "_once", lambda call: next(left))
    assert run.time(lambda: None) == said and not list(left)
