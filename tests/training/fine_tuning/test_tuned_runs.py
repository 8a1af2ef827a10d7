"""Fine-tuning of gains or of an adapter: all else stays bitwise, resumes, and is stored whole."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from models.denoiser import load_denoiser
from models.ema_reconstruction import reconstruct, snapshot_name
from models.layers.low_rank_adapter import adapter_names
from models.weights import load_tensors, save_weights
from training.averaged_weights import ema_denoiser
from training.distillation.teacher import load_teacher
from training.events import Message
from training.fine_tuning.player import ADAPTER
from training.held_out import HeldOutLoss
from training.loop import train
from training.methods.build import build_method
from training.methods.denoising import make_denoiser
from training.state.train_state import TrainState

runs = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_runs.py")))
X, SIGMA = torch.randn(4, 1, 8, 8), torch.tensor([0.1, 0.5, 1.0, 5.0])
LABELS = torch.tensor([0, 3, -1, 9])


@pytest.fixture(scope="module")
def source(digits, tmp_path_factory):
    """A trained average, whose rows are no longer of unit root mean square."""
    folder = tmp_path_factory.mktemp("source")
    config = runs.settings(1.024)
    config = config.model_copy(update={"train": config.train.model_copy(update={"lr": 0.01})})
    train(config, digits, folder, World())
    path = folder / "snapshots" / snapshot_name(config.total_nimg, 0.1)
    tensors, _ = load_tensors(path)
    row = tensors["unet.encoder.0.conv0.weight"].flatten(1)
    assert not torch.allclose(row.square().mean(1), torch.ones(len(row)))
    return path


def tuning(source, tuned, total_kimg=0.128, **changes):
    given = {"init_from": str(source), "tuned": tuned, **changes.pop("train", {})}
    return runs.settings(total_kimg, train=given, **changes)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("tuned", ["gains", "adapter"])
def test_only_what_is_tuned_moves_is_averaged_and_kept(source, digits, tmp_path, tuned, optimizer):
    config = tuning(source, tuned, train={"optimizer": optimizer, "tuned_rank": 2})
    train(config, digits, tmp_path, World())
    before, _ = load_tensors(source)
    snapshot = tmp_path / "snapshots" / snapshot_name(config.total_nimg, 0.05)
    after, description = load_tensors(snapshot)
    moved = {n for n, t in after.items() if n not in before or not torch.equal(t, before[n])}
    if tuned == "gains":
        assert moved > {"unet.label_embedding.weight", "unet.output_gain", "uncertainty_gain"}
        assert all(before[n].ndim == 0 or "embedding" in n or "uncertainty" in n for n in moved)
        assert "merge" not in description
    else:
        assert moved == {n for n in after if f".adapters.{ADAPTER}." in n}
        assert description["merge"] == ADAPTER and len(moved) > 20
    assert set(description["constants"]) == set(after) - moved

    state = TrainState(build_method(config, digits, World()))
    checkpoint = runs.final(tmp_path)
    state.restore(*checkpoint)
    player = state.deployed
    for name, tensor in player.network.state_dict().items():
        assert name in moved or torch.equal(tensor, before[name]), name
    # Nothing of the frozen weights costs memory or disk.
    own = sum(p.numel() for n, p in player.network.named_parameters() if n in moved)
    assert state.summary(config)["trained_parameters"] == own
    moments = player.optimizer.state_dict()["state"].values()
    assert sum(m["exp_avg"].numel() for m in moments) == own
    assert [sum(a.numel() for a in m) for m in player.averages.averages.values()] == [own] * 2
    kept = [n for n in checkpoint[0] if n.startswith("players.denoiser.network.")]
    assert len(kept) == len(moved)


@pytest.mark.parametrize("tuned", ["gains", "adapter"])
def test_an_interrupted_run_goes_on_bit_for_bit(source, digits, tmp_path, tuned):
    config = tuning(source, tuned, checkpoint_every_s=0)
    events = runs.train_whole_and_interrupted(config, digits, tmp_path)
    whole, cut = (runs.final(tmp_path / name) for name in ("whole", "cut"))
    runs.assert_same(whole, cut, rtol=0, atol=0)
    told = [event.text for event in events if isinstance(event, Message)]
    assert told[0].startswith("train.init_from: 56 tensors of ") and "copied whole" in told[0]
    assert told[1].startswith(f"train.tuned: {tuned} trains ") and "%)" in told[1]


@pytest.mark.parametrize("tuned", ["gains", "adapter"])
def test_what_is_stored_is_an_ordinary_denoiser_that_draws_the_same(
    source, digits, tmp_path, tuned
):
    config = tuning(source, tuned)
    train(config, digits, tmp_path, World())
    state = TrainState(build_method(config, digits, World()))
    state.restore(*runs.final(tmp_path))
    length = config.ema.tracked[0]
    expected = ema_denoiser(state.deployed, length)(X, SIGMA, LABELS)
    averages, description, _ = reconstruct(tmp_path / "snapshots", (length,))
    save_weights(tmp_path / "mean.safetensors", averages[length], description)
    published = load_denoiser(tmp_path / "mean.safetensors")
    torch.testing.assert_close(published(X, SIGMA, LABELS), expected, rtol=1e-4, atol=1e-5)
    snapshot = tmp_path / "snapshots" / snapshot_name(config.total_nimg, length)
    teacher = load_teacher(snapshot, digits, World())  # of a student
    assert adapter_names(teacher) == [] and torch.equal(teacher(X, SIGMA, LABELS), expected)
    assert (expected - load_denoiser(source)(X, SIGMA, LABELS)).abs().max() > 1e-3
    again = make_denoiser(tuning(snapshot, tuned), digits)  # which is tuned further
    assert torch.equal(again.eval()(X, SIGMA, LABELS), expected)


def test_two_workers_follow_one(source, digits, digits_folder, tmp_path, free_port):
    config = tuning(source, "adapter", 0.064)
    train(config, digits, tmp_path / "one", World())
    runs.train_on_two_workers(config, digits_folder, tmp_path / "two", free_port)
    one, two = (runs.final(tmp_path / name) for name in ("one", "two"))
    runs.assert_same(one, two, rtol=1e-3, atol=5e-5)


def loss(denoiser, config, data):
    measured = HeldOutLoss(config, data, denoiser.codec, World())
    return measured.measure(denoiser.eval())[0]["held_out/loss"]


def test_a_wider_copy_begins_near_its_source_and_a_fresh_network_does_not(source, digits):
    wide = runs.SMALL.model_copy(update={"channels": 16})
    fresh = runs.settings(model=wide)
    copied = tuning(source, "all", model=wide, train={"init_copy": "overlap"})
    old, new, begun = (
        loss(denoiser, fresh, digits)
        for denoiser in (
            load_denoiser(source),
            make_denoiser(fresh, digits),
            make_denoiser(copied, digits),
        )
    )
    assert old < 0.7 * new and begun - old < 0.1 * (new - old)
    told = build_method(copied, digits, World()).remarks
    assert len(told) == 1 and "in part" in told[0]


def test_new_tensors_that_stay_at_random_values_are_remarked_on(source, digits):
    model = runs.SMALL.model_copy(update={"attention_resolutions": (8,)})
    config = tuning(source, "gains", model=model, train={"init_copy": "overlap"})
    *_, last = build_method(config, digits, World()).remarks
    assert last.startswith("train.tuned: gains leaves 6 new tensors at random values")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train": {"init_from": None}}, "train.init_from gives them, which is null"),
        ({"train": {"optimizer": "muon"}}, "muon"),
        ({"train": {"method": "consistency"}}, "train.method consistency"),
        ({"game": "graph"}, "structure.kind: none"),
        ({"model": runs.SMALL.model_copy(update={"adapter_rank": 2})}, "model.adapter_rank 2"),
    ],
)
@pytest.mark.parametrize("tuned", ["gains", "adapter"])
def test_what_does_not_fit_is_refused_in_one_line(source, digits, tuned, changes, line):
    with pytest.raises(ValueError, match=rf"^train\.tuned: {tuned} .*{line}") as error:
        build_method(tuning(source, tuned, **changes), digits, World())
    assert "\n" not in str(error.value)


def test_settings_of_before_have_the_same_dump():
    assert not {"init_copy", "tuned", "tuned_rank"} & set(runs.settings().train.model_dump())
