"""Training an autoencoder on the loop: its loss, and the same result however it is split."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from foundation.workers import World
from models.autoencoder import load_autoencoder
from models.autoencoders.config import KLConfig
from models.autoencoders.psnr import psnr
from models.codecs.pixel import PixelCodec
from models.ema_reconstruction import snapshot_name
from training.loop import train
from training.methods.autoencoder import kl_losses
from training.methods.build import build_method
from training.run_settings import RunSettings

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))


def settings(kimg=0.128, kl_weight=1e-3, kl_start_kimg=0.05, **changes):
    config = KLConfig(
        factor=2,
        channels=2,
        width=8,
        kl_weight=kl_weight,
        kl_start_kimg=kl_start_kimg,
        total_kimg=max(kimg, 1.0),
    )
    method = {"method": "autoencoder", "horizontal_flip": True, "sigma_bins": 1}
    return runs.settings(
        kimg, autoencoder=config, train=method, **{"checkpoint_every_s": 0, **changes}
    )


def test_the_loss_is_absolute_error_and_divergence_in_closed_form():
    torch.manual_seed(0)
    images, decoded = torch.randn(2, 3, 3, 4, 4)
    mean, std = torch.randn(3, 2, 2, 2), torch.rand(3, 2, 2, 2) + 0.1
    found = kl_losses(images, decoded, mean, std, weight=0.5)
    divergence = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum((1, 2, 3))
    error = (images - decoded).abs().sum((1, 2, 3))
    torch.testing.assert_close(found["kl"], divergence)
    torch.testing.assert_close(found["loss"], (error + 0.5 * divergence) / 48)


def test_psnr_of_a_known_error():
    black = torch.full((2, 1, 4, 4), -1.0)
    one_percent = black + 0.02 * torch.tensor([1.0, 10.0])[:, None, None, None]
    torch.testing.assert_close(psnr(black, one_percent, 2.0), torch.tensor([40.0, 20.0]))
    assert psnr(black, black, 2.0)[0] == 100


def test_interrupted_run_equals_uninterrupted(digits, tmp_path):
    events = runs.train_whole_and_interrupted(settings(), digits, tmp_path)
    assert events[0].resumed and events[0].nimg == 80
    runs.assert_same(runs.final(tmp_path / "whole"), runs.final(tmp_path / "cut"), rtol=0, atol=0)
    for name in ("curves.csv", "train.json"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "cut" / name).read_text()
    points = [
        json.loads(line) for line in (tmp_path / "cut" / "curves.jsonl").read_text().splitlines()
    ]
    for point in (point for point in points if "l1" in point):
        counts = point["loss"] > point["l1"] * 1.0001
        assert counts == (point["nimg"] > 64), point  # steps that begin at 50 images or later
    assert {"held_out/loss", "held_out/psnr", "held_out/kl"} <= set().union(*points)


def test_a_snapshot_is_the_averaged_autoencoder(digits, tmp_path):
    train(settings(0.064), digits, tmp_path, World())
    loaded = load_autoencoder(tmp_path / "snapshots" / snapshot_name(64, 0.05))
    tensors, _ = runs.final(tmp_path)
    name = "encoder.0.weight"
    average = tensors[f"players.autoencoder.average.0.05.{name}"]
    assert torch.equal(loaded.state_dict()[name], average)
    assert not torch.equal(average, tensors[f"players.autoencoder.network.{name}"])


class OneOf(World):
    """One rank of several, whose exchanges with the others are left out."""

    def all_reduce_sum_(self, tensor):
        return tensor


def gradients(method, slots):
    network = method.players["autoencoder"].network
    network.zero_grad()
    sums = method.accumulate("autoencoder", slots)
    return [p.grad.clone() for p in network.parameters()], sums


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_shares_of_the_batch_add_up_to_its_gradient(digits, micro_batch):
    slots = range(1600, 1616)  # where the divergence counts
    whole, sums = gradients(build_method(settings(), digits, World()), slots)
    config = settings(micro_batch=micro_batch)
    parts = [gradients(build_method(config, digits, OneOf(rank, 2)), slots) for rank in range(2)]
    for index, gradient in enumerate(whole):
        total = parts[0][0][index] + parts[1][0][index]
        torch.testing.assert_close(gradient, total, rtol=1e-3, atol=1e-6)
    for name, value in sums.items():
        torch.testing.assert_close(value, parts[0][1][name] + parts[1][1][name])


def test_ranks_share_the_held_out_images(digits):
    whole = build_method(settings(), digits, World()).measure(0).values
    parts = [
        build_method(settings(), digits, OneOf(rank, 2)).measure(0).values for rank in range(2)
    ]
    for name, value in whole.items():
        assert value == pytest.approx(parts[0][name] + parts[1][name], rel=1e-5), name
        assert parts[0][name] > 0 < parts[1][name]


def test_pictures_and_noise_depend_on_the_slot_alone(digits):
    method = build_method(settings(), digits, World())
    images, noise = method.draw(range(40, 56))
    some, part = method.draw(range(47, 50))
    assert torch.equal(images[7:10], some) and torch.equal(noise[7:10], part)
    plain = PixelCodec().encode(digits.images[:])
    mirrored = [not any(torch.equal(image, other) for other in plain) for image in images]
    assert 0 < sum(mirrored) < 16


def test_it_learns_to_reconstruct(digits, tmp_path):
    config = settings(1.5, kl_weight=1e-6, kl_start_kimg=0.5, checkpoint_every_s=60)
    before = build_method(config, digits, World()).measure(0).values
    summary = train(config, digits, tmp_path, World())
    after = summary["final"]
    assert after["held_out/psnr"] > before["held_out/psnr"] + 3
    assert after["held_out/loss"] < 0.7 * before["held_out/loss"]


def test_settings_of_other_runs_are_dumped_as_before():
    plain = runs.settings()
    assert "autoencoder" not in plain.model_dump() and "autoencoder" not in plain.model_dump_json()
    config = settings()
    assert RunSettings.model_validate_json(config.model_dump_json()) == config
    assert config.model_dump(mode="json")["autoencoder"]["factor"] == 2


def test_a_run_without_an_autoencoder_is_refused(digits):
    config = runs.settings(train={"method": "autoencoder"})
    with pytest.raises(ValueError, match="what the stage autoencoder trains"):
        build_method(config, digits, World())
