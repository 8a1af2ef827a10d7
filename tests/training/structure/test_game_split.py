"""The game's gradient is that of the global batch, however the batch is split."""

from pathlib import Path
from runpy import run_path

import pytest
import torch

run_ranks = run_path(str(Path(__file__).parents[2] / "gloo_ranks.py"))["run_ranks"]
WORKER = Path(__file__).with_name("game_split_worker.py")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """All cases, from two real gloo processes."""
    folder = tmp_path_factory.mktemp("split")
    run_ranks([WORKER], 2, folder)
    # Rank 1's cases of both workers together are those of rank 0, seen from its side.
    return torch.load(folder / "1.pt") | torch.load(folder / "0.pt")


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / one.norm())


@pytest.mark.parametrize("precision", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", ["graph", "affinity"])
@pytest.mark.parametrize("split", ["accumulated", "workers"])
def test_equals_one_batch_of_64(results, kind, precision, split):
    """4 micro-batches of 16, and 2 workers with 32 each."""
    expected = results[f"{kind}/{precision}/whole"]
    found = results[f"{kind}/{precision}/{split}"]
    assert expected["gradient"].norm() > 1e-4
    assert len(expected["edges"]) == len(found["edges"])
    for one, other in zip(expected["edges"], found["edges"], strict=True):
        assert torch.equal(one, other)
    tolerance = TOLERANCE[precision]
    for what in ("first", "gradient", "discriminator"):
        assert distance(expected[what], found[what]) < tolerance, what
    assert found["lambda"] == pytest.approx(expected["lambda"], rel=tolerance)
    assert 0 < expected["lambda"][0] < 1e5  # not at its cap, where any would agree


@pytest.mark.parametrize("kind", ["graph", "affinity"])
@pytest.mark.parametrize("sabotage", ["OwnSlice", "OwnGraph"])
def test_the_shortcuts_would_be_noticed(results, kind, sabotage):
    expected, found = results[f"{kind}/{torch.float64}/whole"], results[f"{kind}/{sabotage}"]
    assert distance(expected["first"], found["first"]) > 1e-2


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("onpolicy", 1e-10),
        ("path", 1e-10),
        ("deployed", 1e-10),
        ("renoise", 1e-10),
        ("recent", 1e-10),
        ("tangent", 1e-10),
        ("two_bank", 1e-10),
        ("fd", 1e-8),
        ("adapter", 1e-5),
    ],
)
def test_other_fakes_do_not_depend_on_the_split(results, name, tolerance):
    """One denoising of the sampler's path; with gradient through steps before it; its final
    images, these moving an adapter; fakes noised again; a discriminator that learns from recent
    plays too; forms with a bank."""
    whole, workers = results[f"{name}/whole"], results[f"{name}/workers"]
    for one, other in zip(whole["edges"], workers["edges"], strict=True):
        assert torch.equal(one, other)
    assert whole["gradient"].norm() > 1e-6
    for what in ("gradient", "discriminator"):
        assert distance(whole[what], workers[what]) < tolerance, what
    assert workers["lambda"] == pytest.approx(whole["lambda"], rel=tolerance)
