"""Every number of params.yaml has an upper end, and a file with a larger one gets one message."""

import types
import typing
from typing import get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from pipelines.params import ParamsError, check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.schema import Params
from sampling.config import SamplerConfig
from sampling.grids.table import GRIDS
from sampling.options import Options
from sampling.solvers.table import SOLVERS

ENDLESS = {
    "train.grad_clip": "a norm that is never reached switches clipping off",
    "structure.gate.win_gap": "a gap that is never reached",
    "structure.gate.max_worsening": "a worsening that is never reached",
    "cluster.spread_above": "a number of images that is never reached",
}


def numbers(model: type[BaseModel], prefix: str = "") -> list[tuple[str, type]]:
    """[(dotted key, int or float)] of all numbers in a settings class."""
    found = []
    for name, field in model.model_fields.items():
        kinds = list(_inside(field.annotation))
        for kind in kinds:
            if kind in (int, float):
                found.append((f"{prefix}{name}", kind))
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                found += numbers(kind, f"{prefix}{name}.")
    return found


def _inside(kind):
    if get_origin(kind) in (typing.Annotated, typing.Union, types.UnionType):
        for part in get_args(kind)[: 1 if get_origin(kind) is typing.Annotated else None]:
            yield from _inside(part)
    else:
        yield kind


KEYS = [(key, kind) for key, kind in numbers(Params) if key not in ENDLESS]


def test_the_walk_finds_the_numbers():
    names = {key for key, _ in KEYS}
    assert {"train.batch_size", "cluster.num_workers", "structure.sampler.steps", "seed"} <= names
    assert len(names) > 60


@pytest.mark.parametrize("key", [key for key, _ in KEYS])
def test_a_number_of_params_beyond_all_bounds_is_refused_at_its_key(key):
    huge = 10**17 if dict(KEYS)[key] is int else 1e300
    if key == "seed":
        huge = 2**63
    values = {key: huge}
    if key.startswith("model.text."):  # by default there is no such section
        values["model.text.kind"] = "words"
    with pytest.raises(ParamsError) as caught:
        check_params(with_values(Params().model_dump(mode="json"), values))
    assert key in str(caught.value) and len(str(caught.value)) < 500


OPTIONS = [
    (kind, name, option)
    for kind, table in (("solver", SOLVERS), ("grid", GRIDS))
    for name, chosen in table.items()
    for option, _ in numbers(chosen)
    if issubclass(chosen, Options) and option != "churn_min" and option != "churn_max"
]


@pytest.mark.parametrize(("kind", "name", "option"), OPTIONS)
def test_so_is_an_option_of_a_solver_or_grid(kind, name, option):
    with pytest.raises(ValueError, match=option):
        SamplerConfig(**{kind: name, f"{kind}_options": {option: 10**17}})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"steps": 1_000_000_000}, "at most 10,000 can be used: DDPM has 1,000"),
        ({"grid": "optimized", "steps": 5000}, "optimized is searched for up to 100 steps"),
        ({"guidance": [{"weight": 1e9}]}, "at most 1,000 can be used: images saturate"),
        ({"guidance": [{}] * 20}, "20 entries, and at most 8"),
        (
            {"grid": "explicit", "sigmas": [*range(20_000, 0, -1)]},
            "at most 10,000",
        ),
        ({"grid_options": {"rho": 1e-300}}, "rho is 1e-300"),
    ],
)
def test_absurd_samplers_are_refused_with_the_reason(settings, told):
    raw = Params().model_dump(mode="json")
    raw["sampling"]["default"] |= settings
    with pytest.raises(ParamsError, match=told):
        check_params(raw)


def test_a_wide_range_of_workers_ends_at_once():
    raw = Params().model_dump(mode="json")
    raw["cluster"]["num_workers"] = [1, 4096]
    with pytest.raises(ParamsError, match=r"no train\.batch_size below a million is a multiple"):
        check_params(raw)


def test_presets_lie_far_below(pytestconfig):
    for path in sorted((pytestconfig.rootpath / "presets").glob("*.yaml")):
        check_params(yaml.safe_load(path.read_text()), path.name)
