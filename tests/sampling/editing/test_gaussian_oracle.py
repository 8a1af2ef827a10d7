"""On Gaussian data what is drawn has the conditional mean and covariance, known in closed form.

The denoiser is affine, so an edit is an affine function of its noise. Its mean is the result
without any noise, and its covariance the sum of A A^T over the matrices A of each draw of noise:
exact, without a sampling error.
"""

import math

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.editing import solve_edit
from sampling.editing.edit import Edit
from sampling.editing.known_region import KnownRegion
from sampling.editing.resampling import descents
from sampling.grids.table import time_grid
from sampling.solvers.table import make_solver

SHAPE = (1, 2, 2)
PLACES = np.arange(4)
COVARIANCE = 0.25 * np.exp(-0.5 * (PLACES[:, None] - PLACES) ** 2 / 1.5) + 0.01 * np.eye(4)
MEAN = np.array([0.3, -0.2, 0.1, 0.4])
DRAWN = np.array([[False, True], [True, False]])
IMAGE = np.array([[0.9, 0.0], [0.0, -0.5]])
SIGMAS = time_grid("log_snr", 24, 0.02, 10.0)


def conditional():
    """Mean [2] and covariance [2, 2] of what is drawn, given what is known."""
    drawn, known = np.flatnonzero(DRAWN), np.flatnonzero(~DRAWN)
    gain = COVARIANCE[np.ix_(drawn, known)] @ np.linalg.inv(COVARIANCE[np.ix_(known, known)])
    mean = MEAN[drawn] + gain @ (IMAGE.ravel()[known] - MEAN[known])
    return mean, COVARIANCE[np.ix_(drawn, drawn)] - gain @ COVARIANCE[np.ix_(known, drawn)]


class OneDraw:
    """Noise of which row 4 d + j is the unit vector j in draw d and 0 in others; the last row 0."""

    def __init__(self, draws):
        self.draws, self.next = draws, 0

    def __call__(self, like=None):
        noise = torch.zeros(4 * self.draws + 1, 4, dtype=torch.float64)
        noise[4 * self.next : 4 * self.next + 4] = torch.eye(4, dtype=torch.float64)
        self.next += 1
        return noise.view(-1, *SHAPE)


def moments(monkeypatch, resample, solver="heun", **options):
    """Mean and covariance of what is drawn, exactly, and how many draws of noise there were."""
    denoiser = GaussianDenoiser(
        SHAPE, torch.tensor(MEAN).view(SHAPE), covariance=torch.tensor(COVARIANCE)
    )
    edit = Edit(image=IMAGE[None], drawn=DRAWN, resample=resample)
    made = make_solver(solver, **options)
    steps = len(SIGMAS) - 1
    draws = len(edit.runs(steps))
    if options.get("eta"):
        draws += (steps - 1) * resample
    source = OneDraw(draws)
    monkeypatch.setattr(solve_edit, "normal_source", lambda generators, count: source)
    out = solve_edit.solve_edit(edit, made, denoiser, source(), SIGMAS)
    assert source.next == draws
    rows = out.reshape(len(out), 4).numpy()[:, DRAWN.ravel()]
    parts = rows[:-1] - rows[-1]
    return rows[-1], parts.T @ parts


def errors(found):
    """Of the mean, in conditional deviations, and of the covariance, in its largest variance."""
    mean, covariance = conditional()
    most = covariance.diagonal().max()
    return (
        np.abs(found[0] - mean).max() / math.sqrt(most),
        np.abs(found[1] - covariance).max() / most,
    )


def test_resampling_leads_to_the_conditional_distribution(monkeypatch):
    """Replacement alone is biased; the error of the mean falls as one over the passes."""
    found = {passes: errors(moments(monkeypatch, passes)) for passes in (1, 5, 10, 40)}
    assert min(found[1]) > 0.5
    assert max(found[5]) < 0.2 and max(found[10]) < 0.1 and max(found[40]) < 0.03
    for few, many in ((5, 10), (10, 40)):
        assert found[few][0] * few == pytest.approx(found[many][0] * many, rel=0.15)


@pytest.mark.parametrize("options", [("ddim", 0.0), ("ddim", 1.0), ("dpmpp_2m",), ("unipc",)])
def test_the_mean_is_right_with_every_solver(options, monkeypatch):
    """Steps of first order, of which resampling makes most with these, draw too narrow a spread."""
    eta = {"eta": options[1]} if len(options) > 1 else {}
    alone, often = (errors(moments(monkeypatch, n, options[0], **eta)) for n in (1, 40))
    assert alone[0] > 0.4 and often[0] < 0.03
    assert 0.05 < often[1] < 0.3


BROKEN = ["the noise is not added back", "nothing is held", "the last step is resampled too"]


@pytest.mark.parametrize("broken", BROKEN)
def test_the_oracle_sees_a_broken_edit(broken, monkeypatch):
    if broken == BROKEN[0]:
        plain = OneDraw.__call__
        monkeypatch.setattr(OneDraw, "__call__", lambda s, x=None: plain(s) * (s.next <= 1))
    elif broken == BROKEN[1]:
        monkeypatch.setattr(KnownRegion, "hold", lambda self, denoise: denoise)
    else:
        longer = [*descents(0, 24, 40), *[(23, 24)] * 39]
        monkeypatch.setattr(Edit, "runs", lambda self, steps: longer)
    assert max(errors(moments(monkeypatch, 40))) > 0.05
