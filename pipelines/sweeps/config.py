"""The settings of sweep.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field

from foundation.bounds import KIMG, PROCESSES, AtMost
from foundation.settings_base import Settings

Positive = Annotated[float, Field(gt=0)]


class ResourcesConfig(Settings):
    """Resources of one training worker of a trial; fractions share a processor or a GPU."""

    cpu: Annotated[Positive, PROCESSES] = 1.0
    gpu: Annotated[float, Field(ge=0), PROCESSES] = 0.0


class QuickConfig(Settings):
    """How trials are judged at each rung."""

    num_images: Annotated[
        int, Field(ge=16), AtMost(1_000_000, "images and features are kept in memory")
    ] = 256
    """Number of generated images; their seeds are always the same."""
    sampler: str | None = None
    """A name under `sampling` in params.yaml; null: the first of `samplers`."""


class SweepConfig(Settings):
    """The settings in sweep.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Name of the sweep and its folders; a command with the same name continues the sweep."""
    metric: str = "kid"
    """The metric to improve; if it is best near its floor, its distance from there is reduced."""
    mode: Literal["min", "max"] | None = None
    """Whether low or high is good; null: as the table of metrics says."""
    trials: Annotated[int, Field(ge=1), AtMost(100_000, "each is a training")] = 16
    max_concurrent: Annotated[int, Field(ge=1), PROCESSES] = 2
    workers: Annotated[int, Field(ge=0), PROCESSES] = 1
    """Ray Train workers of a trial; 0: each trial trains in its own process."""
    resources: ResourcesConfig = ResourcesConfig()
    """Resources of each worker, or of the trial's process if workers is 0."""
    searcher: Literal["random", "tpe"] = "tpe"
    scheduler: Literal["asha", "none"] = "asha"
    first_rung_kimg: Annotated[float, Field(ge=0.001), KIMG] | None = None
    """Images after which trials are first compared; null: total / reduction^2."""
    reduction: Annotated[
        float, Field(ge=2), AtMost(1_000_000, "no trial would ever be compared")
    ] = 3.0
    """ASHA keeps the best 1/reduction of trials at each rung; the next rung is reduction times
    later."""
    default_first: bool = True
    """Give the first trial the values of params.yaml for the keys that vary, if they lie in the
    space."""
    seed: Annotated[int, Field(ge=0), AtMost(2**32 - 1, "searchers take 32 bits")] = 0
    """Seed of the searcher."""
    evaluation: QuickConfig = QuickConfig()
    space: Annotated[dict[str, Any], AtMost(256, "params.yaml has no more keys")] = Field(
        default_factory=dict
    )
    """{key of params.yaml: its domain} (see pipelines/sweeps/domain.py)."""
