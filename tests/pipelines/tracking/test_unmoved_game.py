"""When a run is said to be one without a game."""

import pytest

from pipelines.tracking.run_names import gate_tags
from pipelines.tracking.unmoved_game import unmoved_game


def summary(plays, share, **reasons):
    shut = {name.replace("_", " "): count for name, count in reasons.items()}
    gate = {"open_fraction": share, "shut_reasons": shut}
    return {"structure_kind": "graph", "structure_plays": plays, "gate": gate}


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (
            summary(5, 0.0, too_few_plays=4, warming_up=1),
            "the gate never opened in 5 plays (too few plays x4; ",
        ),
        (summary(1, 0.0, warming_up=1), "the gate never opened in 1 play (warming up x1), so"),
        (summary(0, None), "the game never played: the training ended before its first play"),
        (summary(5, 0.2, too_few_plays=4), None),
        ({"structure_kind": "none", "structure_plays": 0, "gate": {"open_fraction": None}}, None),
        ({"total_nimg": 3}, None),
    ],
)
def test_a_game_that_moved_nothing_is_told(train, told):
    found = unmoved_game(train)
    assert (found is None) if told is None else (told in found)
    assert found is None or found.endswith("the run is one without a game")
    assert gate_tags(train).get("gate.note") == found if train.get("gate") else True
