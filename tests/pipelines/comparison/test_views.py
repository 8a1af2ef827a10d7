"""Which items stand side by side, and what is said of those that are equal."""

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from pipelines.comparison.page import draw, render
from pipelines.comparison.runs import Compared, metric_rows
from pipelines.comparison.terminal import print_difference
from pipelines.comparison.views import equal_line, views

ADAPTED = {"sampling.heun18.adapter": "False", "sampling.few5_game.adapter": "True"}


def picture(grey):
    buffer = io.BytesIO()
    Image.fromarray(np.full([8, 8], grey, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def run(name, few, *, params=ADAPTED, heun=0.05, floor=0.01):
    """A run whose best item is that of heun18, and whose items of few5_game have KID `few`."""
    kids = {"0.05-heun18": heun, "0.05-few5_game": few + 0.1, "0.1-few5_game": few}
    kids = {item: kid for item, kid in kids.items() if kid is not None}
    items = {
        item: {"kid": kid, "kid_floor": floor, "kid_floor_std": 0.02} for item, kid in kids.items()
    }
    samples = {item: picture(round(100 * kid)) for item, kid in kids.items()}
    return Compared(name, name, params=params, items=items, samples=samples)


def printed(runs, item=None):
    console = Console(file=io.StringIO(), width=100)
    print_difference(console, runs, item=item)
    return console.file.getvalue()


def test_items_with_the_adapter_stand_there_too_where_the_best_ones_do_not_use_it():
    game_and_control = [run("digits per_sample 1", 0.2), run("digits none 2", 0.3)]
    (best, first), (adapted, second) = views(game_and_control)
    assert best == "the best item of each run" and "with the adapter" in adapted
    assert [found.item for found in first] == ["0.05-heun18"] * 2
    assert [found.item for found in second] == ["0.1-few5_game"] * 2
    said = printed(game_and_control)
    assert "images of item 0.05-heun18, which does not use the adapter." in said
    assert said.count("equal in every digit") == 1 and "+0.100" in said
    page = render(game_and_control)
    assert "which does not use the adapter" in page and "Metrics of the best item with" in page
    assert "0.1-few5_game" in page
    one, two = (
        Image.open(io.BytesIO(draw(game_and_control, item))) for item in ("0.05-heun18", None)
    )
    assert two.height > one.height  # a second row of pictures


def test_one_table_where_the_best_items_use_the_adapter_or_there_is_none():
    assert len(views([run("a", 0.01), run("b", 0.3)])) == 1
    plain = [run("a", 0.2, params={}), run("b", 0.2, params={})]
    assert len(views(plain)) == 1
    assert equal_line(plain).endswith("the same images of item 0.05-heun18.")
    alike = [run("a", 0.01), run("b", 0.01)]
    assert equal_line(alike).endswith("item 0.1-few5_game, which uses the adapter.")


def test_an_item_that_is_named_is_shown_of_every_run():
    runs = [run("a", 0.2), run("b", 0.3)]
    ((what, shown),) = views(runs, "0.05-few5_game")
    assert what == "item 0.05-few5_game of each run"
    assert {found.item for found in shown} == {"0.05-few5_game"}
    assert "+0.100" in printed(runs, "0.05-few5_game") and "heun18" not in printed(
        runs, "0.05-few5_game"
    )
    with pytest.raises(ValueError, match=r"--item 0\.3-x: the runs have 0\.05-heun18, "):
        views(runs, "0.3-x")


def test_floors_that_differ_stand_below_their_own_values():
    head, rows = metric_rows([run("a", 0.2, floor=0.01), run("b", 0.3, heun=0.06, floor=0.03)])
    (kid,) = [row for row in rows if row[0] == "KID"]
    assert "real images" not in head
    assert kid[1:3] == ["0.0500\n(0.010 ± 0.020)", "0.0600\n(0.030 ± 0.020)"]
    assert kid[3] == "+0.0100 (+0.5 std)"
    assert "in brackets each run's own floor" in printed(
        [run("a", 0.2, floor=0.01), run("b", 0.3, floor=0.03)]
    )
