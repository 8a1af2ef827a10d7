"""Settings of where the pipeline runs. No result depends on them."""

from typing import Annotated

from pydantic import Field, field_validator

from foundation.bounds import IMAGES_AT_ONCE, PROCESSES, AtMost
from foundation.settings_base import Settings
from pipelines.settings.storage_address import storage_address

Count = Annotated[int, Field(ge=1)]
Workers = Annotated[Count, PROCESSES]


class ClusterConfig(Settings):
    """Workers, address, memory and storage."""

    num_workers: Annotated[int, Field(ge=0), PROCESSES] | tuple[Workers, Workers] = 2
    """Training workers; 0: in this process, for debugging; [min, max]: elastic."""
    address: str | None = None
    """A running Ray cluster's address, or "auto"; null: a new Ray on this machine (RAY_ADDRESS
    is not used)."""
    use_gpu: bool | None = None
    """Give each worker a GPU; null: if Ray sees one for each of them; false: no stage uses one."""
    micro_batch: Annotated[Count, IMAGES_AT_ONCE] | None = None
    """Images per forward pass of a worker; null: the worker's whole share of the batch."""
    checkpoint_every_s: Annotated[
        float, Field(ge=0), AtMost(1e6, "a crash would cost more than eleven days")
    ] = 30.0
    """Seconds between checkpoints; 0: after every step."""
    max_failures: Annotated[
        int, Field(ge=0), AtMost(10_000, "what fails so often does not get well")
    ] = 2
    """How often a crashed worker group is started again from the last checkpoint."""
    storage: str | None = None
    """Where each training keeps a second copy, from which any machine goes on: a folder, or
    s3://BUCKET/FOLDER?endpoint=http://HOST:PORT (docs/scale_out.md); null: there is none."""
    evaluate_workers: Annotated[int, Field(ge=0), PROCESSES] = 0
    """Ray workers that generate images in evaluate; 0: none below spread_above images."""
    spread_above: Count = 10_000
    """From this many images on, evaluate uses Ray workers even if evaluate_workers is 0."""
    band_workers: Annotated[int, Field(ge=0), PROCESSES] = 0
    """Ray workers that share each image in evaluate, in bands of rows, for large images
    (docs/parallel_inference.md); 0: none do. A sampler with bands of its own uses them where their
    number fits."""

    @field_validator("storage")
    @classmethod
    def _storage_has_an_address(cls, storage: str | None) -> str | None:
        if storage is not None:
            storage_address(storage)
        return storage

    @property
    def fewest_workers(self) -> int:
        """The smallest number of workers that may share a batch."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[0]

    @property
    def most_workers(self) -> int:
        """The largest number of workers that may share a batch."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[1]
