"""Trainings with a schedule that learns: resume, micro-batches and workers change nothing."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from training.config import NoiseConfig
from training.loop import train

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))
ADAPTIVE = NoiseConfig(schedule="adaptive", adapt_by="gradient", weighting="min_snr")
SEEN = "method.noise.seen"


def settings(**changes):
    return runs.settings(**changes).model_copy(update={"noise": ADAPTIVE})


@pytest.mark.parametrize("game", ["none", "per_sample"])
def test_an_interrupted_run_equals_one_that_was_not(digits, tmp_path, game):
    runs.train_whole_and_interrupted(settings(checkpoint_every_s=0, game=game), digits, tmp_path)
    whole, cut = (runs.final(tmp_path / name) for name in ("whole", "cut"))
    runs.assert_same(whole, cut, rtol=0, atol=0)
    seen = next(tensor for name, tensor in whole[0].items() if name.endswith("noise.seen"))
    assert 0 < float(seen[1].sum()) <= 128


def test_micro_batches_change_nothing_but_rounding(digits, tmp_path):
    for name, micro in (("whole", None), ("parts", 4)):
        train(settings(micro_batch=micro), digits, tmp_path / name, World())
    runs.assert_same(
        *(runs.final(tmp_path / name) for name in ("whole", "parts")), rtol=1e-3, atol=1e-4
    )


def test_two_workers_learn_the_same_density(digits, digits_folder, tmp_path, free_port):
    config = settings()
    train(config, digits, tmp_path / "one", World())
    runs.train_on_two_workers(config, digits_folder, tmp_path / "two", free_port)
    one, two = (runs.final(tmp_path / name)[0] for name in ("one", "two"))
    torch.testing.assert_close(one[SEEN], two[SEEN], rtol=1e-3, atol=1e-3)
    assert float(one[SEEN][1].sum()) == pytest.approx(float(two[SEEN][1].sum()))


def test_it_is_another_run_than_the_plain_one(digits, tmp_path):
    """And the plain one keeps nothing of a schedule."""
    for name, config in (("plain", runs.settings()), ("adaptive", settings())):
        train(config, digits, tmp_path / name, World())
    plain, adaptive = (runs.final(tmp_path / name)[0] for name in ("plain", "adaptive"))
    assert SEEN in adaptive and not [name for name in plain if name.startswith("method.")]
    assert not torch.equal(plain[runs.OUTPUT], adaptive[runs.OUTPUT])
