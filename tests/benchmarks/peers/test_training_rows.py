"""Rows of whole trainings: what is measured is what the row says."""

import time
from pathlib import Path

import pytest

from benchmarks.long_run import write_params
from benchmarks.peers import fixed_costs, game, two_workers, whole_trainer
from benchmarks.peers.our_training import made_up_images, our_step, settings_of
from benchmarks.peers.place import Place
from models.config import ModelConfig
from pipelines.params import load_params
from training.events import Logged, Message
from training.players import Player

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (3, 8, 8)
TINY = ModelConfig(
    channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
)


def trainer_row():
    return next(iter(whole_trainer.rows_on(Place(), TINY, SHAPE, 4)))


def test_the_trainer_is_timed_with_its_averages_and_without_the_bare_loop(monkeypatch):
    monkeypatch.setattr(whole_trainer, "ROUNDS", 3)
    average = Player.average

    def slowly(self, nimg, dt):
        time.sleep(0.2)
        average(self, nimg, dt)

    monkeypatch.setattr(Player, "average", slowly)
    row = trainer_row()
    assert row.peer == "bare loop" and row.missed
    assert row.peers < 0.2 < row.ours


def test_the_bare_loop_trains_the_network_of_the_trainer(tmp_path):
    settings = settings_of(TINY, 4)
    dataset = made_up_images(tmp_path, SHAPE)
    made = []

    class Seen(Player):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.methods.denoising.Player", Seen)
        bare = whole_trainer.bare_step(settings, whole_trainer.World(), dataset)
        step = our_step(settings, dataset)
    counts = [sum(p.numel() for p in player.network.parameters()) for player in made]
    assert len(made) == 2 and counts[0] == counts[1]
    before = [p.detach().clone() for p in made[0].network.parameters()]
    after_gain = made[1].network.unet.output.weight.detach().clone()
    bare()
    step()
    moved = zip(before, made[0].network.parameters(), strict=True)
    assert any(bool((a != b).any()) for a, b in moved)
    assert bool((after_gain != made[1].network.unet.output.weight).any())


@pytest.mark.parametrize(("speed", "missed"), [(19.0, False), (15.0, True)])
def test_two_workers_by_one(monkeypatch, speed, missed):
    batches = []

    def training(settings, dataset, run, cluster, report):
        batches.append((cluster.num_workers, settings.train.batch_size))
        report(Message(0, "hello"))
        here = 10.0 if cluster.num_workers == 1 else speed
        for number, told in enumerate([1.0, here, here, 1.0]):
            report(Logged(number, {}, told))

    monkeypatch.setattr(two_workers, "run_training", training)
    (row,) = two_workers.rows()
    assert row.ratio == pytest.approx(10 / speed) and row.missed == missed
    assert f"{speed / 10:.2f} times" in row.note
    assert set(batches) == {(1, 16), (2, 32)} and len(batches) == 2 * two_workers.ROUNDS


def test_fixed_costs_of_stages_and_of_a_training_on_ray(monkeypatch):
    asked = []

    def seconds(folder, stage):
        params = load_params(folder / "params.yaml")
        asked.append((stage, params.cluster.num_workers))
        return 4.0 if stage == "evaluate" else 2.0 if params.cluster.num_workers == 0 else 16.0

    monkeypatch.setattr(fixed_costs, "seconds", seconds)
    monkeypatch.setattr(fixed_costs, "ROUNDS", 2)
    rows = {row.what: row for row in fixed_costs.rows()}
    assert {name for name, row in rows.items() if row.missed} == {
        "pipelines.evaluate",
        "pipelines.train on Ray",
    }
    assert asked == 2 * [*((stage, 0) for stage in fixed_costs.STAGES), ("train", 2)]


def test_what_evaluate_is_asked_for_is_in_the_params(tmp_path, monkeypatch):
    (tmp_path / "presets").mkdir()
    preset = (ROOT / "presets/digits.yaml").read_text()
    (tmp_path / "presets/digits.yaml").write_text(preset)
    write_params(tmp_path, fixed_costs.LITTLE)
    params = load_params(tmp_path / "params.yaml")
    _, length, _, sampler = fixed_costs.ITEM
    assert float(length) in params.ema.lengths and sampler in params.samplers
    assert params.run_settings().total_steps == 2


def test_the_game_beside_its_control(monkeypatch):
    ran = []

    def make_runner(settings, dataset, world):
        kind = settings.structure.kind

        def run(number):
            ran.append((kind, number))
            time.sleep(0.05 if kind != "none" and number % 4 == 0 else 0.01)

        return run

    monkeypatch.setattr(game, "make_runner", make_runner)
    monkeypatch.setattr(game, "PARAMS", ROOT / "params.yaml")
    monkeypatch.setattr(game, "prepare_dataset", lambda config, folder: made_up_images(folder))
    monkeypatch.setattr(game, "ROUNDS", 3)
    (row,) = game.rows()
    assert 1.4 < row.ratio < 3 and row.missed
    assert f"{1 + (row.ratio - 1) / 2:.2f} over a whole training" in row.note
    for kind in ("graph", "none"):
        assert [n for which, n in ran if which == kind] == list(range(4 * 4))
