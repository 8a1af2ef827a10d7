"""What the report says of a game that moved nothing."""

from pipelines.reporting.game_notes import equal_items, game_notes
from pipelines.reporting.stage_outputs import Item

SHUT = {
    "structure_kind": "per_sample",
    "structure_plays": 5,
    "gate": {"open_fraction": 0.0, "shut_reasons": {"too few plays": 5}},
}


def item(sampler, kid, length=0.1):
    name = f"{length}-{sampler}"
    metrics = {"kid": {"value": kid, "floor": 0.01}}
    return Item(item=name, ema_length=length, sampler=sampler, num_images=8, metrics=metrics)


def test_a_game_that_moved_nothing_and_equal_evaluations_are_told():
    items = [item("few5", 0.2), item("few5_game", 0.2), item("heun18", 0.1), item("few5", 0.2, 0.2)]
    assert equal_items(items) == [["0.1-few5", "0.1-few5_game"]]
    page = game_notes(SHUT, items)
    assert "The gate never opened in 5 plays (too few plays x5)" in page
    assert "0.1-few5 and 0.1-few5_game are equal in every digit" in page
    moved = SHUT | {"gate": {"open_fraction": 0.4, "shut_reasons": {}}}
    assert game_notes(moved, items[1:]) == ""
