"""Sampler settings: every mistake is found when they are read."""

import json

import pytest
import torch
from pydantic import ValidationError

from sampling.config import SamplerConfig
from sampling.solvers.table import SOLVERS, make_solver, solve

NFE_OF_6_STEPS = {"ddim": 6, "heun": 11, "dpmpp_2m": 6, "unipc": 6, "consistency": 6}

ON_THE_GRID = [name for name in SOLVERS if make_solver(name).own_steps() is None]
"""Solvers that visit the levels of the time grid."""


def read(**values):
    """As from params.yaml: strict validation of JSON."""
    return SamplerConfig.model_validate_json(json.dumps(values))


def test_default_is_edm():
    config = read()
    sigmas = config.time_grid()
    assert (config.solver, config.grid, config.nfe) == ("heun", "karras", 35)
    assert sigmas.shape == (19,) and sigmas[0] == 80 and sigmas[-2] == 0.002


@pytest.mark.parametrize("solver", ON_THE_GRID)
def test_nfe_is_what_solve_calls(solver):
    config, calls = read(solver=solver, steps=6), []

    def denoise(x, sigma):
        calls.append(sigma)
        return torch.zeros_like(x)

    solve(solver, denoise, torch.zeros(1, 1, 2, 2), config.time_grid())
    assert config.nfe == len(calls)
    if solver in NFE_OF_6_STEPS:
        assert config.nfe == NFE_OF_6_STEPS[solver]


def test_round_trip():
    config = read(
        solver="unipc",
        solver_options={"order": 3},
        grid="arctan",
        grid_options={"c": 0.4},
        guidance=[
            {"kind": "classifier_free", "weight": 2.0},
            {"kind": "interval", "sigma_hi": 3.0},
        ],
    )
    assert SamplerConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("sigmas", [[5.0, 1.0, 0.1], [5.0, 1.0, 0.1, 0.0]])
def test_explicit_levels(sigmas):
    config = read(grid="explicit", sigmas=sigmas)
    assert config.nfe == 5
    assert config.time_grid().tolist() == [5.0, 1.0, 0.1, 0.0]


@pytest.mark.parametrize("sigmas", [[5.0], [5.0, 0.0]])
def test_one_explicit_level(sigmas):
    config = read(grid="explicit", sigmas=sigmas)
    assert config.nfe == config.step_count == 1
    assert config.time_grid().tolist() == [5.0, 0.0]


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_one_evaluation(solver):
    config = read(solver=solver, steps=1, sigma_max=40.0)
    assert config.nfe == config.network_evaluations() == config.step_count == 1
    assert config.time_grid().tolist() == [40.0, 0.0]


def test_what_is_read_is_what_was_written_out():
    """With the nulls and defaults of every kind, as older versions wrote them."""
    short = {"kind": "autoguidance", "weight": 2.0, "length": 0.2}
    long = short | {"weights": None, "sigma_lo": None, "sigma_hi": None}
    assert read(guidance=[long]) == read(guidance=[short])
    assert read(guidance=[{"weight": 2.0}]) == read(
        guidance=[{"kind": "classifier_free", "weight": 2.0}]
    )
    config = read(guidance=[short])
    assert SamplerConfig(**config.model_dump()) == config
    assert read(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("guidance", "each"),
    [
        ([], [1, 1, 1, 1]),
        ([{"weight": 2.0}], [2, 2, 2, 2]),
        ([{"weight": 1.0}], [1, 1, 1, 1]),
        ([{"kind": "autoguidance", "weight": 2.0, "length": 0.2}], [2, 2, 2, 2]),
        ([{"kind": "autoguidance", "weight": 1.0, "length": 0.2}], [1, 1, 1, 1]),
        ([{"kind": "gradient", "weight": 0.5}], [2, 2, 2, 2]),
        ([{"kind": "gradient", "weight": 0.0}], [1, 1, 1, 1]),
        # both ends of the interval are levels, and the upper one lies inside
        ([{"weight": 2.0}, {"kind": "interval", "sigma_lo": 1.0, "sigma_hi": 4.0}], [1, 2, 2, 1]),
        # the gradient goes round what is left of the inner guidance
        (
            [
                {"weight": 2.0},
                {"kind": "interval", "sigma_hi": 2.0},
                {"kind": "gradient", "weight": 1.0},
                {"kind": "interval", "sigma_lo": 1.0},
            ],
            [2, 2, 3, 2],
        ),
        # the unlabelled half of the batch passes through the inner guidance too
        ([{"kind": "autoguidance", "weight": 2.0, "length": 0.2}, {"weight": 2.0}], [4, 4, 4, 4]),
    ],
)
def test_network_evaluations_count_the_guidance(guidance, each):
    levels = {"grid": "explicit", "sigmas": [8.0, 4.0, 2.0, 1.0]}
    config = read(solver="ddim", guidance=guidance, **levels)
    assert config.network_evaluations() == sum(each) and config.nfe == 4
    heun = read(solver="heun", guidance=guidance, **levels)  # each level again, but for the first
    assert heun.network_evaluations() == sum(each) + sum(each[1:]) and heun.nfe == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"solver": "huen"}, "did you mean 'heun'"),
        ({"grid": "quadratik"}, "did you mean 'quadratic'"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"steps": 2.5}, "valid integer"),
        ({"sigma_min": 0.0}, "greater than 0"),
        ({"sigma_min": 2.0, "sigma_max": 1.0}, "not below sigma_max"),
        ({"solver_options": {"eta": 1.0}}, "'eta' belongs to ddim"),
        ({"solver": "ddim", "solver_options": {"eta": -1.0}}, "eta is -1.0"),
        ({"grid_options": {"c": 1.0}}, "'c' belongs to arctan"),
        ({"solver": "unipc", "solver_options": {"order": "2"}}, "order is '2'"),
        ({"sigmas": [1.0, 0.1]}, "go together"),
        ({"grid": "explicit"}, "go together"),
        ({"grid": "explicit", "sigmas": [0.1, 1.0]}, "fall strictly"),
        ({"grid": "explicit", "sigmas": [1.0, 0.0, 0.5]}, "fall strictly"),
        ({"grid": "explicit", "sigmas": [0.0]}, "at least one level above 0"),
        ({"grid": "explicit", "sigmas": []}, "at least one level above 0"),
        ({"grid": "explicit", "sigmas": [1.0, 0.1], "grid_options": {"c": 1}}, "no grid_options"),
        ({"guidance": [{"kind": "clasifier_free"}]}, "did you mean 'classifier_free'"),
        ({"guidance": [{"wieght": 2.0}]}, "did you mean 'weight'"),
        ({"guidance": ["classifier_free"]}, "section such as"),
        ({"guidance": [{}, {"kind": "interval"}]}, "needs sigma_lo, sigma_hi or both"),
        (
            {"guidance": [{}, {"kind": "interval", "sigma_lo": 2.0, "sigma_hi": 1.0}]},
            "sigma_lo 2.0 is not below sigma_hi 1.0",
        ),
        (
            {"guidance": [{}, {"kind": "interval", "sigma_lo": 1.0, "weight": 2.0}]},
            "weight belongs to kind classifier_free or autoguidance or .*, not interval",
        ),
        (
            {"guidance": [{"kind": "autoguidance", "length": 0.1, "weights": "a"}]},
            "weights or length, not both",
        ),
        (
            {"guidance": [{}, *[{"kind": "interval", "sigma_lo": 1.0}] * 2]},
            "interval limits the entry before it, and there is none to limit",
        ),
        ({"guidance": [{"kind": "interval", "sigma_lo": 1.0}]}, "nothing|none to limit"),
        ({"guidance": [{"weight": 2.0, "sigma_lo": 1.0}]}, "belong to kind interval"),
        ({"guidance": [{"kind": "gradient", "length": 0.1}]}, "belong to kind autoguidance"),
        ({"guidance": [{"weight": -1.0}]}, "greater than or equal to 0"),
        ({"speed": 1}, "Extra inputs"),
        ({"grid": "fitted", "steps": 41}, "fitted is searched for up to 40 steps"),
        ({"grid": "fitted", "grid_options": {"images": 0}}, "images is 0"),
        ({"grid": "fitted", "grid_options": {"distance": "fid"}}, "distance is 'fid'"),
        ({"grid": "fitted", "solver_options": {"churn": 1.0}}, "fresh noise, and churn adds"),
        (
            {"grid": "fitted", "solver": "ddim", "solver_options": {"eta": 1.0}},
            "fresh noise, and ddim draws",
        ),
        ({"grid": "fitted", "solver": "consistency"}, "fresh noise, and consistency draws"),
        ({"grid": "fitted", "bands": {"count": 2}}, "fitted to whole images: leave out bands"),
        (
            {"grid": "fitted", "guidance": [{"kind": "distribution", "target": {"a": 1.0}}]},
            "its 32 images cut the groups of 64",
        ),
        ({"grid": "fitted", "solver": "adaptive_heun"}, "only its ends and its first step"),
        ({"grid": "optimized", "solver": "adaptive_heun"}, "only its ends and its first step"),
        ({"solver": "adaptive_heun", "bands": {"count": 2}}, "goes back to its last state"),
        (
            {
                "solver": "adaptive_heun",
                "guidance": [{"kind": "distribution", "target": {"a": 1.0}}],
            },
            "distribution draws groups of images together, and solver adaptive_heun",
        ),
        ({"solver": "adaptive_heun", "solver_options": {"tolerance": 0.0}}, "tolerance is 0.0"),
        ({"solver": "adaptive_heun", "solver_options": {"max_evaluations": 2}}, "is 2"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ValidationError, match=message):
        read(**values)


def test_levels_that_are_no_settings_are_said_to_be_unknown():
    assert read().levels_unknown is None and not read().counts_calls
    fitted = read(grid="fitted", steps=5)
    assert "trained weights" in fitted.levels_unknown and not fitted.counts_calls
    with pytest.raises(ValueError, match="finds its levels for trained weights"):
        fitted.time_grid()
    assert fitted.nfe == 9  # the number of levels is a setting
    assert read(grid="fitted", steps=2).time_grid().tolist() == [80.0, 0.002, 0.0]
    explicit = fitted.with_levels([80.0, 3.0, 1.0, 0.2, 0.002])
    assert explicit.time_grid().tolist() == [80.0, 3.0, 1.0, 0.2, 0.002, 0.0]
    assert explicit.levels_unknown is None and explicit.nfe == 9
    adaptive = read(solver="adaptive_heun", guidance=[{"weight": 2.0}])
    assert adaptive.counts_calls and "while it is drawn" in adaptive.levels_unknown
    assert not read(solver="adaptive_heun", steps=1).counts_calls
    with pytest.raises(ValueError, match="its evaluations are counted"):
        adaptive.network_evaluations()
