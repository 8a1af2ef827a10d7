"""What a row of the table of metrics says, and where a metric may be shown."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["down", "up", "floor"]
"""Which way a metric is better. floor: it is better the closer it is to its floor."""

Display = Literal[
    "choice",  # the best item of an evaluation is the best by the first of these that is known
    "tile",  # report: headline figures, and columns of the table of EMA lengths
    "length chart",  # report, compare: charts over the EMA length
    "csv",  # reports/fid_by_ema.csv
    "MLflow column",  # the runs table
    "MLflow by length",  # a parent run's curves over the EMA length
    "MLflow curve",  # a parent run's curves over the images seen
    "replicate",  # figure over several seeds
    "comparison curve",  # compare: curves over the images seen
    "study",  # tables of the studies
    "study figure",  # figures of the studies, and shares of the distance from the floor
    "sweep",  # what trials report, and may be judged by
]


@dataclass(frozen=True)
class MetricEntry:
    """One row of the table."""

    title: str
    says: str = ""
    """One plain sentence."""
    better: Better | None = None
    """None: neither high nor low values are better."""
    why: str = ""
    """Why this way is better, as the end of a sentence."""
    shown: tuple[Display, ...] = ()
    floor_beside: bool = False
    """Whether tables with a column for the metric (csv, MLflow) have one for its floor too."""


HEADLINE: tuple[Display, ...] = ("tile", "replicate", "study")
CHARTED: tuple[Display, ...] = (*HEADLINE, "length chart", "csv", "MLflow column")
DISTANCE: tuple[Display, ...] = (*CHARTED, "choice", "MLflow by length", "study figure", "sweep")
