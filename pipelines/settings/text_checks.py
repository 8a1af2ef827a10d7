"""Finds settings of captions and their encoder that are valid alone but impossible together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.settings.network_checks import undivided_heads

if TYPE_CHECKING:
    from pipelines.settings.schema import Params


def text_problems(params: "Params", sides: list[int]) -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend. sides: of the levels (pixels)."""
    model, text = params.model, params.model.text
    if text is None:
        return
    if not model.class_conditional:
        yield (
            "model.text: captions are labels, which class_conditional: false switches off: set it "
            "to true, or text to null"
        )
    where = " (model.text.resolutions)"
    yield from undivided_heads(model, sides, text.resolutions, where)


def text_remarks(params: "Params", sides: list[int]) -> Iterator[str]:
    """One line for each setting that is allowed but probably not what the user meant."""
    text = params.model.text
    if params.dataset.captions is not None and text is None and params.model.class_conditional:
        yield (
            "dataset.captions is set and model.text is not, so each caption is a class of its own "
            "that knows nothing of its words: set model.text to {kind: words}"
        )
    if text is None:
        return
    if params.dataset.captions is None:
        yield "model.text reads the names of the classes, since dataset.captions is not set"
    at = text.resolutions or params.model.attended(sides)
    if not set(at) & set(sides):
        yield (
            f"model.text: no level is {' or '.join(map(str, at)) or 'named'} pixels wide, so "
            "nothing attends to the words, and only their mean counts; the levels are "
            f"{', '.join(map(str, sides))}"
        )
