"""docs/extending.md: what it adds to training, networks, judgement and data."""

import math
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from discriminators.config import DiscriminatorConfig
from discriminators.forms import make_form
from discriminators.losses import pair_accuracy
from evaluation import metric_table
from evaluation.config import EvaluationConfig
from evaluation.judge import judge
from evaluation.measures import measure
from evaluation.real_side import RealSide
from evaluation.reference import Reference
from foundation.workers import World
from models.denoiser import Denoiser, describe, load_denoiser
from models.weights import save_weights
from pipelines.sweeps import quick_evaluation
from pipelines.sweeps.space import Sweep, SweepConfig
from training.batches import draw_batch
from training.events import Logged
from training.loop import train
from training.methods.build import build_method
from training.state.checkpoint import load_latest

page = SimpleNamespace(**run_path(str(Path(__file__).with_name("extending_page.py"))))
FOUND = page.FOUND
NO_LABELS = page.NO_LABELS
extended = page.extended
params = page.params
ROOT = page.ROOT
merged = page.merged


# Training on the digits.


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(params("A solver").dataset, folder)
    return ImageDataset(folder)


def short(title: str, **changes):
    """Eight steps of a tiny network, and of the game each second one from the third on."""
    tiny = {
        "model": {
            "channels": 8,
            "attention_resolutions": [],
            "blocks": 1,
            "structural_blocks": [],
        },
        "train": {
            "total_kimg": 0.128,
            "batch_size": 16,
            "lr": 0.003,
            "lr_ramp_kimg": 0,
            "log_every_kimg": 0.016,
            "held_out_images": 16,
        },
        "structure": {
            "start_kimg": 0.03,
            "every": 2,
            "width": 8,
            "statistics_images": 32,
            "batch_size": 16,
            "lr": 0.01,
            "gate": {
                "chance_margin": 0.0,
                "min_plays": 1,
                "smoothing": 0.0,
                "max_worsening": 100.0,
                "win_gap": 1e6,
            },
        },
        "ema": {"snapshots": 2},
    }
    run = params(title, **merged(tiny, changes)).run_settings()
    return run.model_copy(update={"sample_every_kimg": None})


def offset_sets(seed):
    """Fakes share an offset that differs from set to set; one by one they are as the reals are."""
    draw = torch.Generator().manual_seed(seed)
    rest = torch.randn(2, 64, 4, generator=draw, dtype=torch.float64)
    offset = torch.randn(4, generator=draw, dtype=torch.float64)
    return rest[0], 0.6 * rest[1] + 0.8 * offset


def test_the_discriminator_sees_what_no_single_sample_shows(extended):
    moments = extended["A discriminator of structure"].MomentsDiscriminator

    class Alone(moments):
        """Sabotage: each sample beside moments that are the same for all sets."""

        def forward(self, features, groups):
            h = self.input(features)
            return self.head(torch.cat([h, h, torch.zeros_like(h)], 1))[:, 0]

    config = DiscriminatorConfig(kind=params("A discriminator of structure").structure.kind)
    torch.manual_seed(0)
    accuracy = []
    for form in (make_form(config, num_features=4, seed=0), Alone(4, config)):
        form.double()
        optimizer = torch.optim.Adam(form.parameters(), lr=0.01, betas=(0.0, 0.99))
        for step in range(40):
            loss = form.loss_d(*offset_sets(step), NO_LABELS)
            optimizer.zero_grad()
            (loss.adversarial + loss.penalty).backward()
            optimizer.step()
        with torch.no_grad():
            logits = [[form(x, NO_LABELS) for x in offset_sets(1000 + n)] for n in range(20)]
        accuracy.append(float(np.mean([float(pair_accuracy(*x, NO_LABELS)) for x in logits])))
    assert accuracy[0] > 0.9 and abs(accuracy[1] - 0.5) < 0.15, accuracy


def test_the_discriminator_plays_and_moves_the_denoiser(digits, tmp_path):
    played = short("A discriminator of structure")
    control = short("A discriminator of structure", structure={"kind": "none"})
    for name, settings in (("played", played), ("control", control)):
        train(settings, digits, tmp_path / name, World())
    (one, plain), (other, _) = (
        load_latest(tmp_path / name / "checkpoints", print) for name in ("played", "control")
    )
    assert plain["method"]["plays"] == 3 and plain["method"]["game"]["gate"]["open_plays"] >= 1
    weight = "players.denoiser.network.unet.output.weight"
    assert not torch.equal(one[weight], other[weight])
    assert any("form.head" in name for name in one)


def test_the_method_trains_by_its_own_loss(digits, tmp_path):
    settings = short("A method of training", structure={"kind": "none"}, train={"total_kimg": 0.8})
    method = build_method(settings, digits, World())
    denoiser = method.players["denoiser"].network
    sums = method.accumulate("denoiser", range(16))
    batch = draw_batch(settings, digits, denoiser.codec, range(16), torch.device("cpu"))
    sigma = batch.sigma[:, None, None, None]
    with torch.no_grad():
        clean = denoiser(batch.images + sigma * batch.noise, batch.sigma, batch.labels)
        u = denoiser.log_variance(batch.sigma)
    scaled = (clean - batch.images) * (sigma**2 + 0.5**2).sqrt() / (sigma * 0.5)
    error = scaled.flatten(1).norm(dim=1) / math.sqrt(64)
    expected = ((error**2 + 0.03**2).sqrt() - 0.03) / u.exp() + u
    assert float(sums["loss"]) == pytest.approx(float(expected.sum()), rel=1e-5)
    assert float(sums["denoising_loss"]) == pytest.approx(float((error**2).sum()), rel=1e-5)
    assert denoiser.output_conv_weight.grad is not None

    events = []
    train(settings, digits, tmp_path, World(), events.append)
    losses = [e.metrics["denoising_loss"] for e in events if isinstance(e, Logged)]
    assert len(losses) == 50 and np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10]), losses


# The network, the judgement, the data.


def test_the_block_stands_in_a_denoiser(extended, tmp_path):
    config = params("A structural block", model={"channels": 32}).model
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), 10, config)
    block = denoiser.unet.structure[0]
    assert isinstance(block, extended["A structural block"].Pooling) and block.size == 5
    x = torch.randn(2, 64, 4, 4)
    rows = [
        [x[:, :, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3].mean((2, 3)) for j in range(4)]
        for i in range(4)
    ]
    difference = torch.stack([torch.stack(row, -1) for row in rows], -2) - x
    weight = block.project.weight[:, :, 0, 0]
    weight = weight / weight.norm(dim=1, keepdim=True)
    unit = difference / difference.square().mean(1, keepdim=True).sqrt()
    update = torch.einsum("oc,bchw->bohw", weight, unit)
    torch.testing.assert_close(
        block(x), (0.7 * x + 0.3 * update) / math.hypot(0.7, 0.3), rtol=1e-3, atol=1e-3
    )
    torch.nn.init.ones_(denoiser.unet.output_gain)
    noisy = torch.randn(2, 1, 8, 8)
    clean = denoiser(noisy, torch.ones(2), torch.tensor([3, -1]))
    clean.square().sum().backward()
    assert clean.shape == noisy.shape and float(block.project.weight.grad.abs().sum()) > 0
    save_weights(tmp_path / "d.safetensors", denoiser.state_dict(), describe(denoiser))
    again = load_denoiser(tmp_path / "d.safetensors")
    assert again.config == config
    torch.testing.assert_close(again(noisy, torch.ones(2), torch.tensor([3, -1])), clean.detach())


class Pixels:
    """An extractor whose features are the pixels."""

    def features(self, images, batch_size, progress=None):
        return images.reshape(len(images), -1).astype(np.float32) / 255


def test_the_metric_is_judged_beside_its_floor(digits):
    images = np.asarray(digits.images)
    features = Pixels().features(images, 0)
    train_features = features[digits.train_indices]
    reference = Reference(
        extractor=Pixels(),
        classifier=None,
        train_features=train_features,
        held_out_features=features[digits.held_out_indices],
        train_mean=train_features.mean(0).astype(np.float64),
        train_cov=np.cov(train_features.T).astype(np.float64),
        manifest={
            "metric_name": "FD-Pixels",
            "num_features": 64,
            "protocol": {},
            "num_train": 0,
            "num_held_out": 0,
            "dataset_hash": "",
        },
    )
    config = EvaluationConfig(floor_draws=4, kid_subsets=5)
    real = images[digits.train_indices[::6]]
    good, dark = (
        judge(x, None, reference, config, seed=0)["metrics"]["sliced_w1"]
        for x in (real, (real * 0.8).astype(np.uint8))
    )
    assert good["floor"] == dark["floor"] > 0 and good["floor_std"] > 0
    assert abs(good["value"] - good["floor"]) < 4 * good["floor_std"]
    assert dark["value"] > dark["floor"] + 8 * dark["floor_std"]

    # Along one direction the distance of shifted points is the shift; in the plane 2 / pi of it.
    rng = np.random.default_rng(0)
    for size, share, within in ((1, 1.0, 1e-6), (2, 2 / math.pi, 0.1)):
        points = rng.normal(size=(50, size))
        moved = points + 3.0 * np.eye(size)[0]
        found = measure(RealSide(points, 5), moved, 1, config, ["sliced_w1"])
        assert found == {"sliced_w1": pytest.approx(3.0 * share, rel=within)}
    row = metric_table.metric_entry("sliced_w1")
    assert row.title == "Sliced W1" and row.better == "down"
    assert "sliced_w1" in metric_table.shown("tile")


def test_a_sweep_can_be_judged_by_the_metric():
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    space = {"train.lr": {"loguniform": [0.001, 0.1]}}
    sweep = Sweep(SweepConfig(name="a", space=space, **FOUND["A metric"].values), raw)
    assert (sweep.objective, sweep.mode) == ("sliced_w1", "min")
    assert "sliced_w1" in quick_evaluation._measured()


def test_the_source_is_prepared(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "arrays"
    folder.mkdir()
    grey = {name: rng.integers(0, 256, (30, 8, 8), dtype=np.uint8) for name in ("cats", "ants")}
    for name, pictures in grey.items():
        np.save(folder / f"{name}.npy", pictures)
    config = params("A source of images").dataset.model_copy(update={"path": str(folder)})
    manifest = prepare_dataset(config, tmp_path / "out")
    dataset = ImageDataset(tmp_path / "out")
    assert manifest["label_names"] == ["ants", "cats"] and manifest["source"] == "npy_folder"
    expected = np.concatenate([grey["ants"], grey["cats"]])[..., None]
    assert np.array_equal(dataset.images, expected)
    assert np.array_equal(dataset.labels, [0] * 30 + [1] * 30)
    np.save(folder / "cats.npy", np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match=r"cats\.npy is float64 \[3, 8, 8\]: save uint8"):
        prepare_dataset(config, tmp_path / "out")
