"""Settings of how generated images are judged."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.settings_base import Settings


class EvaluationConfig(Settings):
    """The section `evaluation` of params.yaml; the stage reference uses the first two fields."""

    extractor: Literal["auto", "classifier", "efficientnet_lite0", "inception"] = "auto"
    """Network whose features are compared. auto: classifier for labelled grey images, \
otherwise efficientnet_lite0."""
    inception_path: str | None = None
    """Local inception-2015-12-05.pt (or its folder), for extractor inception only."""
    num_images: Annotated[int, Field(ge=2)] = 1024
    """Images generated for each item of the evaluation."""
    batch_size: Annotated[int, Field(ge=1)] = 256
    """Images that are drawn, and passed to the extractor, at once."""
    k: Annotated[int, Field(ge=1)] = 5
    """Neighbours in the metrics of local structure."""
    kid_subsets: Annotated[int, Field(ge=1)] = 100
    """Number of random subsets over which KID is averaged."""
    kid_subset_size: Annotated[int, Field(ge=2)] = 100
    """Images in a KID subset; if fewer are compared it is reduced, and a note says so."""
    floor_draws: Annotated[int, Field(ge=2)] = 20
    """Number of random draws for the mean and standard deviation of each metric and floor."""
    picture_images: Annotated[int, Field(ge=1)] = 64
    """Images shown in samples.png and in nearest.png."""
