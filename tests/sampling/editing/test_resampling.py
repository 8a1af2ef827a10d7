"""The walk takes each step as often as it is asked to, and goes up by one step between."""

import itertools
import math

import pytest
import torch

from sampling.editing.resampling import descents, evaluations, part_of, walk
from sampling.grids.table import time_grid
from sampling.solvers.table import make_solver

LEVELS = time_grid("karras", 6, 0.02, 10.0).tolist()


@pytest.mark.parametrize(("first", "steps", "passes"), [(0, 6, 1), (0, 3, 2), (2, 6, 4), (5, 6, 3)])
def test_each_step_is_taken_so_often(first, steps, passes):
    runs = descents(first, steps, passes)
    taken = [step for start, stop in runs for step in range(start, stop)]
    expected = dict.fromkeys(range(first, steps), passes) | {steps - 1: 1}
    assert {step: taken.count(step) for step in set(taken)} == expected
    assert runs[0][0] == first and runs[-1][1] == steps
    assert all(above[0] == below[1] - 1 for below, above in itertools.pairwise(runs))


def test_known_walks():
    assert descents(0, 3, 2) == [(0, 1), (0, 2), (1, 3)] and descents(0, 1, 9) == [(0, 1)]
    assert descents(0, 5, 1) == [(0, 5)] and descents(5, 5, 9) == []


@pytest.mark.parametrize("solver", ["ddim", "heun", "dpmpp_2m", "unipc", "consistency"])
def test_the_noise_that_is_added_back_has_the_right_deviation(solver):
    """A denoiser of a constant image is solved exactly, so x is the image with unit noise sigma."""
    seen = []

    def denoise(x, sigma):
        seen.append((sigma[0].item(), (x - 3).std().item() / sigma[0].item()))
        return torch.full_like(x, 3.0)

    torch.manual_seed(0)
    x = 3 + LEVELS[0] * torch.randn(1, 1, 200, 200)
    runs = descents(0, 6, 3)
    made = make_solver(solver)
    out = walk(made, denoise, x, LEVELS, runs, torch.randn_like, lambda *_: None)
    torch.testing.assert_close(out, torch.full_like(out, 3.0))
    assert len(seen) == evaluations(made, LEVELS, runs)
    assert all(spread == pytest.approx(1, abs=0.02) for _, spread in seen)


def test_churn_is_that_of_the_whole_grid():
    """Heun divides its churn by the number of steps: a part of the grid has its share of it."""
    raised = []

    def denoise(x, sigma):
        raised.append(sigma[0].item())
        return torch.zeros_like(x)

    solver, x = make_solver("heun", churn=1.5), torch.zeros(1, 1, 1, 1)
    solver.run(denoise, x, LEVELS, torch.zeros_like, lambda *_: None)
    whole = raised[::2]
    raised.clear()
    walk(solver, denoise, x, LEVELS, descents(2, 6, 1), torch.zeros_like, lambda *_: None)
    assert raised[::2] == pytest.approx(whole[2:])
    raised.clear()
    walk(solver, denoise, x, LEVELS, descents(0, 6, 3), torch.zeros_like, lambda *_: None)
    assert {round(level, 9) for level in raised} >= {round(level, 9) for level in whole}
    assert part_of(solver, (0, 6), 6).churn == 1.5
    assert max(raised) == pytest.approx(LEVELS[0] * 1.25) and math.isclose(raised[0], raised[2])


def test_a_multistep_solver_never_joins_two_paths():
    """What DPM-Solver++ extrapolates from lies one step above, on the way down since the last rise.

    A denoiser whose answer counts the rises so far would give a wrong slope across one.
    """
    rises, answers = 0, []

    def normal(x):
        nonlocal rises
        rises += 1
        return torch.zeros_like(x)

    def denoise(x, sigma):
        answers.append(rises)
        return torch.full_like(x, 1000.0 * rises)

    ends = {}

    def report(step, x, denoised):
        ends[len(answers)] = x.item()

    runs = descents(0, 6, 2)
    x = torch.full((1, 1, 1, 1), 10.0, dtype=torch.float64)
    walk(make_solver("dpmpp_2m"), denoise, x, LEVELS, runs, normal, report)
    expected, at = x.item(), 0
    for start, stop in runs:
        for step in range(start, stop):
            ratio = LEVELS[step + 1] / LEVELS[step]
            expected = ratio * expected + (1 - ratio) * 1000.0 * answers[at]
            at += 1
            assert ends[at] == pytest.approx(expected)
