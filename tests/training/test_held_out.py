"""The held-out loss is a mean over the noise-level bins that have images."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from foundation.workers import World
from models.codecs import PixelCodec
from models.config import EMAConfig, ModelConfig
from training import held_out
from training.config import NoiseConfig, TrainConfig
from training.held_out import HeldOutLoss, sparse_bins
from training.run_settings import RunSettings
from training.structure.config import GateConfig
from training.structure.gate import Gate


def images(num_train, num_held_out):
    """A data set as far as the held-out loss needs one."""
    count = num_train + num_held_out
    return SimpleNamespace(
        train_indices=np.arange(num_train),
        held_out_indices=np.arange(num_train, count),
        stored=lambda chosen: (
            torch.zeros(len(chosen), 1, 4, 4, dtype=torch.uint8),
            torch.full((len(chosen),), -1),
        ),
    )


@pytest.fixture
def measure(monkeypatch):
    """measure(train, held-out images, loss of each sigma) -> the loss's three results at 8 bins."""

    def run(num_train, num_held_out, loss_of=torch.ones_like):
        monkeypatch.setattr(
            held_out, "fixed_noise_loss", lambda denoiser, x, labels, sigma, noise: loss_of(sigma)
        )
        settings = RunSettings(
            seed=0,
            model=ModelConfig(),
            noise=NoiseConfig(),
            structure={"kind": "none"},
            train=TrainConfig(sigma_bins=8, held_out_images=16),
            ema=EMAConfig(),
        )
        data = images(num_train, num_held_out)
        return HeldOutLoss(settings, data, PixelCodec(), World()).measure(None)

    return run


def test_empty_bins_count_as_nothing(measure):
    values, train, held = measure(100, 5)
    assert values["held_out/loss"] == values["held_out/train_loss"] == 1.0
    assert values["held_out/gap"] == 0.0
    assert [name for name in values if "bin" in name] == [f"held_out/bin{i}_loss" for i in range(5)]
    assert train == [1.0] * 8
    assert held[:5] == [1.0] * 5 and all(math.isnan(loss) for loss in held[5:])


def test_both_sides_are_averaged_over_the_same_bins(measure):
    """The loss grows with sigma, so a side with more bins would look worse."""
    values, train, held = measure(100, 5, loss_of=lambda sigma: sigma)
    assert values["held_out/loss"] == pytest.approx(np.mean(held[:5]))
    assert values["held_out/train_loss"] == pytest.approx(np.mean(train[:5]))
    full, train, held = measure(100, 100, loss_of=lambda sigma: sigma)
    assert full["held_out/loss"] == float(np.mean(held)) and full["held_out/gap"] == 0.0
    assert len([name for name in full if "bin" in name]) == 8


@pytest.mark.parametrize(
    ("num_train", "num_held_out", "told"),
    [
        (100, 8, None),
        (100, 5, "8 noise-level bins do not share 5 held-out images.* 5 bins .* to 5 at most"),
        (3, 5, "do not share 3 training images"),
    ],
)
def test_too_few_images_for_the_bins_are_told(num_train, num_held_out, told):
    found = sparse_bins(TrainConfig(sigma_bins=8), images(num_train, num_held_out))
    assert found is None if told is None else re.search(f"train.sigma_bins: .*{told}", found)


def test_without_held_out_images_there_is_no_curve(measure):
    values, train, held = measure(100, 0)
    assert values == {} and train == [1.0] * 8 and all(math.isnan(loss) for loss in held)


def test_the_gate_judges_the_bins_that_are_filled():
    gate = Gate(GateConfig(max_worsening=0.01))
    gate.start()
    nothing = math.nan
    gate.observe_held_out([1.0, nothing, nothing], [1.0, 1.0, nothing])
    gate.observe_held_out([1.0, nothing, nothing], [1.0, 5.0, nothing])
    assert gate.reason != "held-out loss worsened" and gate.worst_bin == -1
    again = Gate(GateConfig(max_worsening=0.01))
    again.load_state_dict(gate.state_dict())
    again.observe_held_out([1.1, nothing, nothing], [1.1, 1.0, nothing])
    assert again.reason == "held-out loss worsened" and again.worst_bin == 0
