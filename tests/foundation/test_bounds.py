"""Upper ends of settings."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from foundation.bounds import AtMost
from foundation.settings_base import Settings


class Walk(Settings):
    steps: Annotated[int, Field(ge=1), AtMost(1000, "the day has an end")] = 1
    stops: Annotated[tuple[int, ...], AtMost(2, "each takes an hour")] = ()


def test_the_end_itself_is_allowed():
    assert Walk(steps=1000, stops=(1, 2)).steps == 1000


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steps": 1001}, "at most 1,000 can be used: the day has an end"),
        ({"stops": (1, 2, 3)}, "3 entries, and at most 2 can be used: each takes an hour"),
    ],
)
def test_what_lies_beyond_is_refused_with_the_reason(given, told):
    with pytest.raises(ValidationError, match=told):
        Walk(**given)
