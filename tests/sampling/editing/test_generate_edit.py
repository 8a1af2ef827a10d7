"""Edits by `generate`: each result has its own seed; labels and guidance act; what is refused."""

import dataclasses
import pickle
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.editing import solve_edit
from sampling.editing.edit import Edit
from sampling.generate import generate, generate_batches, prepare
from sampling.interpolation import interpolate
from sampling.request import GenerationRequest
from sampling.seeds import normal_source
from sampling.solvers.table import SOLVERS
from sampling.trajectory import trajectory

Counting = run_path(str(Path(__file__).parents[1] / "counting.py"))["Counting"]

SHAPE = (1, 2, 2)
IMAGE = np.array([[[0.7, 0.6], [0.65, 0.7]]], np.float32)
DRAWN = np.array([[False, True], [False, False]])
STOCHASTIC = SamplerConfig(solver="ddim", solver_options={"eta": 1.0}, steps=6)
EDIT = Edit(image=IMAGE, drawn=DRAWN, resample=3)


def denoiser():
    means = torch.tensor([-0.7, 0.0, 0.7]).view(3, 1, 1, 1).expand(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.1, None, [0, 1, 2])


@pytest.mark.parametrize("sampler", [SamplerConfig(steps=6), STOCHASTIC])
@pytest.mark.parametrize("edit", [EDIT, Edit(image=IMAGE, strength=0.5)])
def test_results_do_not_depend_on_the_batch(sampler, edit, monkeypatch):
    labels = torch.arange(10) % 3

    def drawn(numbers, size):
        return generate(
            denoiser(), sampler, 7, numbers, labels[numbers], batch_size=size, edit=edit
        )

    whole = drawn(list(range(10)), 10)
    assert whole.std(0).max() > 0.01
    torch.testing.assert_close(whole, drawn(list(range(10)), 3), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(whole[[8, 2]], drawn([8, 2], 2), rtol=1e-5, atol=1e-6)
    if edit is EDIT:  # sabotage: noise of the batch, in place of each image's own
        monkeypatch.setattr(solve_edit, "normal_source", lambda _, n: normal_source(None, n))
        assert (whole - drawn(list(range(10)), 3)).abs().max() > 1e-3


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "adaptive_heun"])
@pytest.mark.parametrize("guidance", [(), ({"kind": "classifier_free", "weight": 2.0},)])
def test_what_is_known_decides_the_class_unless_the_label_does(solver, guidance):
    """Three pixels are of class 2: without a label the fourth is too."""
    sampler = SamplerConfig(solver=solver, steps=12, guidance=guidance)
    free = generate(denoiser(), sampler, 0, range(40), edit=EDIT)
    assert (free[:, 0, 0, 0] == float(IMAGE[0, 0, 0])).all()
    assert (free[:, 0, 0, 1] - 0.7).abs().median() < 0.25
    zero = torch.zeros(40, dtype=torch.int64)
    asked = generate(denoiser(), sampler, 0, range(40), zero, edit=EDIT)[:, 0, 0, 1]
    assert asked.median() < -0.5


def test_no_edit_and_an_edit_of_everything_are_the_same_bit_for_bit():
    for sampler in (SamplerConfig(steps=5), STOCHASTIC, SamplerConfig(solver="unipc", steps=5)):
        plain = generate(denoiser(), sampler, 3, range(5))
        for edit in (Edit(image=IMAGE), Edit(image=IMAGE, drawn=np.ones((2, 2), bool))):
            assert torch.equal(plain, generate(denoiser(), sampler, 3, range(5), edit=edit))
        assert not torch.equal(plain, generate(denoiser(), sampler, 3, range(5), edit=EDIT))


@pytest.mark.parametrize("edit", [EDIT, Edit(image=IMAGE, strength=0.4), None])
def test_evaluations_are_those_that_are_made(edit):
    for sampler in (SamplerConfig(steps=6), STOCHASTIC):
        counting, seen = Counting(denoiser()), []
        request = GenerationRequest(
            sampler=sampler, seed=0, indices=range(4), labels=np.full(4, -1), edit=edit
        )
        list(
            generate_batches(
                counting, request, progress=lambda done, _, seen=seen: seen.append(done)
            )
        )
        assert counting.images == 4 * prepare(counting, request).evaluations
        assert seen[-1] == 4 and seen == sorted(set(seen))


def test_a_request_with_an_edit_is_plain_data():
    request = GenerationRequest(
        sampler=STOCHASTIC, seed=0, indices=range(4), labels=np.full(4, -1), edit=EDIT
    )
    again = pickle.loads(pickle.dumps(request))
    assert again.edit.facts() == EDIT.facts() and request.split(2)[1].edit is EDIT
    for changed in (
        {"image": IMAGE + 1},
        {"drawn": ~DRAWN},
        {"strength": 0.5},
        {"resample": 4},
        {"drawn": None},
    ):
        assert dataclasses.replace(EDIT, **changed).facts() != EDIT.facts()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"image": IMAGE[0]}, r"image \[2, 2\]: give finite numbers \[C, H, W\]"),
        ({"image": IMAGE * np.nan}, "give finite numbers"),
        ({"drawn": DRAWN[:1]}, r"mask bool \[1, 2\]: give bool \[H, W\] of the image, \[2, 2\]"),
        ({"drawn": DRAWN.astype(np.uint8)}, "mask uint8"),
        ({"drawn": DRAWN & False}, "mask: nothing is to be drawn"),
        ({"strength": 1.5}, "strength 1.5: give 0"),
        ({"resample": 0}, "resample 0: give how often"),
        ({"resample": 2.0}, "resample 2.0: give how often"),
    ],
)
def test_bad_edits_are_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(EDIT, **changed)


def test_an_image_of_another_shape_and_pictures_of_a_way_are_refused():
    other = Edit(image=np.zeros((3, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"image \[3, 2, 2\]: the denoiser draws \[1, 2, 2\]"):
        generate(denoiser(), STOCHASTIC, 0, range(2), edit=other)
    request = GenerationRequest(
        sampler=SamplerConfig(steps=2), seed=0, indices=[0], labels=np.array([-1]), edit=EDIT
    )
    with pytest.raises(ValueError, match="a trajectory shows how images come from noise"):
        trajectory(denoiser(), request, 2)
    with pytest.raises(ValueError, match="an interpolation shows how images come from noise"):
        interpolate(denoiser(), request, (0, 1), 3)


def test_a_solver_with_steps_of_its_own_is_refused():
    with pytest.raises(ValueError, match="an edit runs steps of the time grid, and solver adapt"):
        generate(denoiser(), SamplerConfig(solver="adaptive_heun"), 0, range(2), edit=EDIT)
