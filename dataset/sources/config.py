"""The keys of the `dataset` section that say where images come from."""

from operator import not_
from typing import Annotated

from pydantic import Field

from dataset.sources.captions.config import Captions
from foundation.settings_base import Settings

Text = Annotated[str, Field(min_length=1)]


class SourceConfig(Settings):
    """What a source is told; each reads what it needs, and refuses the rest in its own check."""

    source: str = "digits"
    """An entry of dataset/sources/table.py."""
    path: Text | None = None
    """image_folder: a folder or .zip; torchvision: the folder of its files (null: user cache)."""
    class_level: Annotated[int, Field(ge=0, le=16)] = 1
    """image_folder: which level of sub-folders names the class; 2: of train/cat, cat; 0: none."""
    name: Text | None = None
    """torchvision: FashionMNIST or CIFAR10; huggingface: a hub id or a local folder."""
    split: Text = "train"
    """torchvision: train or test; huggingface: any split expression, such as train[:5000]."""
    image_column: Text = "image"
    """huggingface: the column that holds the images."""
    label_column: Text | None = "label"
    """huggingface: the column that holds the class; null makes the data set unlabelled."""
    captions: Annotated[Captions | None, Field(exclude_if=not_)] = None
    """Where the captions of the images are; they are then the labels, and classes the groups that
    are compared. null: none. It is left out of what is stored where it is null."""

    def refuse_path(self, instead: str) -> None:
        """Raise ValueError where a path is given; `instead` says how to mend it."""
        if self.path is not None:
            raise ValueError(
                f"path has no meaning for source {self.source}: set path to null, or use {instead}"
            )

    def refuse_name(self) -> None:
        """Raise ValueError where a name is given."""
        if self.name is not None:
            raise ValueError(
                f"name has no meaning for source {self.source}: set name to null, or source to "
                "torchvision or huggingface"
            )
