"""Settings of what MLflow keeps, and where."""

from typing import Annotated

from pydantic import Field

from foundation.bounds import KIMG
from foundation.settings_base import Settings


class TrackingConfig(Settings):
    """What MLflow keeps, and where. No result depends on it, so a change runs no stage again."""

    enabled: bool = True
    """Keep runs in MLflow."""
    uri: Annotated[str, Field(min_length=1)] | None = None
    """MLflow store, such as http://host:5000; null is the file mlflow.db in the repository."""
    experiment: Annotated[str, Field(min_length=1)] = "sadm"
    """Name of the MLflow experiment."""
    sample_every_kimg: Annotated[float, Field(gt=0), KIMG] = 20.0
    """Show sample images every so many thousand training images."""
    system_metrics: bool = True
    """Record processor, memory, disk and GPU use with each stage."""
