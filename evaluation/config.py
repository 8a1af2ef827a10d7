"""What is measured on generated images, and how."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.settings_base import Settings


class EvaluationConfig(Settings):
    """The section `evaluation` of params.yaml. `reference` depends on the first two fields only."""

    extractor: Literal["auto", "classifier", "efficientnet_lite0", "inception"] = "auto"
    """Network whose features are compared. auto: classifier for labelled grey images, \
otherwise efficientnet_lite0."""
    inception_path: str | None = None
    """Local inception-2015-12-05.pt (or its folder), for extractor inception only."""
    num_images: Annotated[int, Field(ge=2)] = 1024
    """Images generated for each item of the evaluation."""
    batch_size: Annotated[int, Field(ge=1)] = 256
    """Images sampled, and put through the extractor, at once."""
    k: Annotated[int, Field(ge=1)] = 5
    """Neighbours in the metrics of local structure."""
    kid_subsets: Annotated[int, Field(ge=1)] = 100
    """Random subsets that KID is averaged over."""
    kid_subset_size: Annotated[int, Field(ge=2)] = 100
    """Images in a KID subset; reduced, and noted, where fewer are compared."""
    floor_draws: Annotated[int, Field(ge=2)] = 20
    """Random draws behind the mean and standard deviation of each real-versus-real floor."""
    picture_images: Annotated[int, Field(ge=1)] = 64
    """Images shown in samples.png and in nearest.png."""
