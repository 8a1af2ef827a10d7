"""Sampler settings: every mistake is found when they are read."""

import json

import pytest
from pydantic import ValidationError

from sampling.config import SamplerConfig
from sampling.solvers.table import SOLVERS


def read(**values):
    """As from params.yaml: strict validation of JSON."""
    return SamplerConfig.model_validate_json(json.dumps(values))


def test_default_is_edm():
    config = read()
    sigmas = config.time_grid()
    assert (config.solver, config.grid, config.nfe) == ("heun", "karras", 35)
    assert sigmas.shape == (19,) and sigmas[0] == 80 and sigmas[-2] == 0.002


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_nfe_is_what_solve_calls(solver):
    config = read(solver=solver, steps=6)
    assert config.nfe == (11 if solver == "heun" else 6)


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
    assert config.nfe == config.step_count == 1
    assert config.time_grid().tolist() == [40.0, 0.0]


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
        ({"guidance": [{"kind": "interval", "sigma_lo": 1.0}]}, "nothing|none to limit"),
        ({"guidance": [{"weight": 2.0, "sigma_lo": 1.0}]}, "belong to kind interval"),
        ({"guidance": [{"kind": "gradient", "length": 0.1}]}, "belong to kind autoguidance"),
        ({"guidance": [{"weight": -1.0}]}, "greater than or equal to 0"),
        ({"speed": 1}, "Extra inputs"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ValidationError, match=message):
        read(**values)
