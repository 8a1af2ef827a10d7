"""Which samplers fit a student."""

import re

import pytest

from sampling.config import SamplerConfig
from sampling.for_students import START, student_refusal, student_sampler


def explicit(*sigmas, solver="consistency", **more):
    return SamplerConfig(solver=solver, grid="explicit", sigmas=sigmas, **more)


ONE_STEP = {"grid": "karras", "steps": 1, "sigma_max": 80.0}


@pytest.mark.parametrize(
    ("sampler", "levels"),
    [
        (explicit(80.0), (80.0,)),
        (explicit(80.0, 2.5), (80.0, 2.5)),
        (explicit(80.0, 0.0), (80.0, 2.5)),  # fewer evaluations than it was trained for
        (explicit(80.0, 9.0, 1.0), None),  # a consistency student: any levels
        (SamplerConfig(solver="heun", **ONE_STEP), (80.0,)),
        (SamplerConfig(solver="ddim", **ONE_STEP), None),
        (SamplerConfig(solver="consistency", grid="karras", steps=2), (80.0, 0.002)),
    ],
)
def test_what_calls_the_student_at_its_levels_fits(sampler, levels):
    assert student_refusal(sampler, levels) == ("", "")


@pytest.mark.parametrize(
    ("sampler", "levels", "key", "told"),
    [
        (explicit(80.0, 2.5), (80.0,), "sigmas", r"2 evaluations, .* at most 1"),
        (explicit(80.0, 1.0), (80.0, 2.5), "sigmas", r"\[80, 1\], .* trained at \[80, 2.5\]"),
        (explicit(40.0), (80.0,), "sigmas", r"at \[40\], .* trained at \[80\]"),
        (SamplerConfig(solver="heun"), (80.0,), "solver", "follows a path"),
        (SamplerConfig(solver="unipc", steps=2), None, "solver", "follows a path"),
        (
            SamplerConfig(solver="consistency", grid="optimized", steps=2),
            (80.0, 2.5),
            "grid",
            r"sigmas \[80, 2.5\]",
        ),
        (SamplerConfig(solver="adaptive_heun"), None, "solver", "follows a path"),
        (
            SamplerConfig(solver="consistency", grid="karras", steps=2, sigma_min=1.0),
            (80.0, 2.5),
            "grid",
            r"\[80, 1\]",
        ),
        (
            SamplerConfig(solver="heun", solver_options={"churn": 10}, **ONE_STEP),
            (80.0,),
            "solver_options",
            "churn raises",
        ),
        (explicit(80.0, guidance=({"kind": "classifier_free"},)), None, "guidance", "leave it out"),
        (explicit(80.0, adapter=True), None, "adapter", "leave it out"),
    ],
)
def test_what_does_not_is_refused_at_its_key(sampler, levels, key, told):
    found, why = student_refusal(sampler, levels)
    assert found == key and re.search(told, why), why
    assert "\n" not in why


def test_the_sampler_of_a_student_has_its_levels():
    assert student_sampler((80.0, 2.5)).visited_levels() == (80.0, 2.5)
    assert student_sampler(None).visited_levels() == (START,)
    assert student_sampler((80.0, 2.5)).nfe == 2
