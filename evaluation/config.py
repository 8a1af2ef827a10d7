"""Settings of how generated images are judged."""

from operator import not_
from typing import Annotated, Literal

from pydantic import Field

from foundation.bounds import IMAGES_AT_ONCE, AtMost
from foundation.settings_base import Settings
from foundation.shares import Shares


class EvaluationConfig(Settings):
    """The section `evaluation` of params.yaml; the stage reference uses the first two fields."""

    extractor: Literal["auto", "classifier", "efficientnet_lite0", "inception"] = "auto"
    """Network whose features are compared. auto: classifier for labelled grey images, \
otherwise efficientnet_lite0."""
    inception_path: str | None = None
    """Local inception-2015-12-05.pt (or its folder), for extractor inception only."""
    num_images: Annotated[
        int, Field(ge=2), AtMost(1_000_000, "images and features are kept in memory")
    ] = 1024
    """Images generated for each item of the evaluation."""
    batch_size: Annotated[int, Field(ge=1), IMAGES_AT_ONCE] = 256
    """Images that are drawn, and passed to the extractor, at once."""
    k: Annotated[
        int, Field(ge=1), AtMost(10_000, "the distances to all of them are kept in memory")
    ] = 5
    """Neighbours in the metrics of local structure."""
    kid_subsets: Annotated[
        int, Field(ge=1), AtMost(1_000_000, "each subset is measured, and 100 are usual")
    ] = 100
    """Number of random subsets over which KID is averaged."""
    kid_subset_size: Annotated[
        int, Field(ge=2), AtMost(100_000, "KID compares all pairs of a subset in memory")
    ] = 100
    """Images in a KID subset; if fewer are compared it is reduced, and a note says so."""
    floor_draws: Annotated[
        int, Field(ge=2), AtMost(10_000, "every metric is measured anew in each draw")
    ] = 20
    """Number of random draws for the mean and standard deviation of each metric and floor."""
    picture_images: Annotated[int, Field(ge=1), AtMost(10_000, "one sheet shows them all")] = 64
    """Images shown in samples.png and in nearest.png."""
    target: Annotated[Shares | None, Field(exclude_if=not_)] = None
    """{class: share} that the generated images should have: each item is judged by how far its
    shares are from these, too (docs/steering.md); null: by none."""
