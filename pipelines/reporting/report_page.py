"""Makes reports/report.html: pictures, metrics with floors, curves and protocol on one page."""

from pipelines.reporting.html import page
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.sections import (
    head,
    pictures,
    protocol,
    results,
    shares,
    students,
    training,
)
from pipelines.reporting.stage_outputs import best_item


def render(inputs: Inputs) -> str:
    """The page as HTML. Equal inputs give equal text: it contains no time and no speed."""
    by, best = best_item(inputs.items)
    return page(
        head.title(inputs),
        [
            head.header(inputs, by, best),
            head.headline_tiles(best),
            head.origin(inputs),
            pictures.samples(inputs, best),
            pictures.data_set(inputs),
            results.metrics(best),
            results.settings(inputs, best),
            shares.shares(inputs, best),
            pictures.other_settings(inputs, best),
            students.students(inputs, best),
            training.training(inputs),
            training.game(inputs),
            protocol.protocol(inputs, best),
        ],
    )
