"""Power-function EMA against golden coefficients, closed forms, and a directly tracked average."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.power_ema import (
    PowerEMA,
    posthoc_coefficients,
    posthoc_profile_error,
    power_ema_beta,
    sigma_rel_to_gamma,
)

# Coefficients computed in 50-digit arithmetic.
GOLDEN = json.loads((Path(__file__).parent / "golden_posthoc_ema.json").read_text())

TRACKED = (0.05, 0.10)
TARGETS = (0.03, 0.07, 0.13, 0.20)


@pytest.mark.parametrize(("sigma_rel", "gamma"), GOLDEN["gamma"].items())
def test_gamma_matches_reference(sigma_rel, gamma):
    assert sigma_rel_to_gamma(float(sigma_rel)) == pytest.approx(float(gamma), rel=1e-13)


@pytest.mark.parametrize("gamma", [0.1, 2.0, 6.94, 40.0])
def test_gamma_inverts_the_closed_form(gamma):
    sigma_rel = np.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))
    assert sigma_rel_to_gamma(sigma_rel) == pytest.approx(gamma, rel=1e-10)


@pytest.mark.parametrize("bad", [0.0, -0.1, 12**-0.5, 1.0])
def test_lengths_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="out of range"):
        sigma_rel_to_gamma(bad)


@pytest.mark.parametrize("case", GOLDEN["cases"])
@pytest.mark.parametrize("column", range(len(TARGETS)))
def test_coefficients_match_golden(case, column):
    case = GOLDEN["cases"][case]
    ours = posthoc_coefficients(case["times"], TRACKED, case["out"], TARGETS[column])
    theirs = np.array([float(row[column]) for row in case["coef"]])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    assert ours.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_tracked_length_is_its_own_reconstruction():
    coefficients = posthoc_coefficients([500, 1000], TRACKED, 1000, 0.05)
    np.testing.assert_allclose(coefficients, [0, 0, 1, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [(8, (0.10, 0.013, 0.020, 0.078)), (16, (0.039, 0.0038, 0.0052, 0.023))],
)
def test_profile_errors_are_those_known(snapshots, expected):
    times = np.arange(1, snapshots + 1) * 100
    for target, error in zip(TARGETS, expected, strict=True):
        ours = posthoc_profile_error(times, TRACKED, times[-1], target)
        assert ours == pytest.approx(error, rel=0.1)


def _walk(steps, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(steps, 5)), 0)


def test_updates_give_the_weights_of_the_profile():
    """theta_k has weight (k^(g+1) - (k-1)^(g+1)) / T^(g+1)."""
    points, sigma_rel = _walk(40), 0.1
    parameter = torch.zeros(5)
    ema = PowerEMA([("w", parameter)], [sigma_rel])
    for k, point in enumerate(points, 1):
        parameter.copy_(torch.from_numpy(point))
        ema.update(k, 1)
    power = sigma_rel_to_gamma(sigma_rel) + 1
    edges = (np.arange(41) / 40) ** power
    expected = np.diff(edges) @ points
    np.testing.assert_allclose(ema.state(sigma_rel)["w"].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_dt_enters_beta():
    """Updating every 4th image with dt=4 follows the same profile as every image with dt=1."""
    for sigma_rel in TRACKED:
        fine = np.prod([power_ema_beta(sigma_rel, t, 1) for t in range(97, 101)])
        assert power_ema_beta(sigma_rel, 100, 4) == pytest.approx(fine, rel=1e-12)
    assert power_ema_beta(0.05, 7, 7) == 0.0


@pytest.mark.parametrize("target", [0.07, 0.13])
def test_reconstruction_equals_a_directly_tracked_average(target):
    """A real short training run: relative L2 error below 1e-2 with 16 snapshots."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ema = PowerEMA(model.named_parameters(), [*TRACKED, target])
    snapshots, times, steps, batch = [], [], 480, 8
    for step in range(1, steps + 1):
        x = torch.randn(batch, 4)
        loss = (model(x)[:, 0] - x.prod(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(step * batch, batch)
        if step % (steps // 16) == 0:
            times.append(step * batch)
            snapshots += [{n: t.clone() for n, t in ema.state(s).items()} for s in TRACKED]
    weights = posthoc_coefficients(times, TRACKED, times[-1], target)
    wanted = torch.cat([t.flatten() for t in ema.state(target).values()]).double()
    made = sum(
        w * torch.cat([t.flatten() for t in s.values()]).double()
        for w, s in zip(weights, snapshots, strict=True)
    )
    assert (made - wanted).norm() / wanted.norm() < 1e-2
    newest = torch.cat([p.detach().flatten() for p in model.parameters()]).double()
    assert (newest - wanted).norm() > 10 * (made - wanted).norm()  # the test can tell
