"""Where the captions of images are: dataset.captions, read by the class that its kind names."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind

Text = Annotated[str, Field(min_length=1)]


class CaptionSource(Settings):
    """Where the captions are."""

    sources: ClassVar[tuple[str, ...]] = ()
    """The sources of images that have such captions."""

    kind: str
    """txt, table or column."""


class BesideImages(CaptionSource):
    """The first line of the text file that has an image's name, `dog/3.txt` of `dog/3.png`."""

    sources: ClassVar[tuple[str, ...]] = ("image_folder",)

    kind: Literal["txt"] = "txt"
    """Further lines of the file are left out."""


class InTable(CaptionSource):
    """A column of a table: a .csv file, or a .jsonl file of one JSON object a line."""

    sources: ClassVar[tuple[str, ...]] = ("image_folder",)

    kind: Literal["table"] = "table"
    """The first row that names an image counts."""
    file: Text
    """The table, in the folder or zip of the images, or relative to the project."""
    image_column: Text = "file_name"
    """The column of the images' names: paths in the folder, or file names where these differ."""
    text_column: Text = "text"
    """The column of the captions."""


class InColumn(CaptionSource):
    """A text column of a Hugging Face data set."""

    sources: ClassVar[tuple[str, ...]] = ("huggingface",)

    kind: Literal["column"] = "column"
    """The classes of label_column stay the groups of images that are compared."""
    column: Text = "text"
    """Its name."""


CAPTIONS: dict[str, type[CaptionSource]] = {
    "txt": BesideImages,
    "table": InTable,
    "column": InColumn,
}

Captions = Annotated[CaptionSource, ByKind("place of captions", CAPTIONS)]
"""A field of settings that says where captions are."""
