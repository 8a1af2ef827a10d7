"""What the report says of a game that moved nothing, and of evaluations that are equal."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reporting.html import text
from pipelines.reporting.stage_outputs import Item
from pipelines.tracking.unmoved_game import unmoved_game


def game_notes(train: Mapping[str, Any], items: Sequence[Item]) -> str:
    """HTML paragraphs; "" if there is nothing to say. train: the content of train.json."""
    note = unmoved_game(train)
    lines = [note] if note else []
    for names in equal_items(items):
        lines.append(
            f"{' and '.join(names)} are equal in every digit of every metric: they are the same "
            "images"
        )
    return "".join(f"<p><b>{text(line[0].upper() + line[1:])}.</b></p>" for line in lines)


def equal_items(items: Sequence[Item]) -> list[list[str]]:
    """Names of items of one EMA length that have equal metrics, group by group."""
    groups: dict[str, list[str]] = {}
    for item in items:
        if item.metrics:
            key = repr((item.ema_length, sorted(item.flat().items())))
            groups.setdefault(key, []).append(item.item)
    return [names for names in groups.values() if len(names) > 1]
