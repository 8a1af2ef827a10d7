"""What an image was drawn with, kept inside its PNG, so that a folder holds images of one model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dataset.decode import image_suffixes
from models.weights import file_hash
from models.weights_folder import weights_file
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "drawn_with"
"""The PNG's text chunk, a JSON object."""
_FILE = "file"
"""Its entry that a message shows, and that decides nothing: weights may move."""


def drawn_with(request: GenerationRequest) -> dict[str, Any]:
    """All that decides an image, but for its number and label: JSON-able, flat.

    Weights files enter by their content. Raises ValueError for guidance without a network, OSError
    for a file that cannot be read.
    """
    from sampling.from_weights import guiding_file, predictor_file  # brings torch

    assert request.weights is not None, "the request names no weights"
    sampler = request.sampler
    weights = weights_file(request.weights)
    files: dict[str, str | Path | None] = {"weights": weights}
    for number, entry in enumerate(sampler.guidance):
        if entry.needs.network:
            files[f"guide {number}"] = guiding_file(entry, request)
        elif entry.needs.attribute:
            files[f"guide {number}"] = predictor_file(entry, request)
    files["classifier"] = request.classifier
    facts: dict[str, Any] = {_FILE: weights.name, "seed": request.seed}
    facts |= {name: file_hash(file)[:16] for name, file in files.items() if file is not None}
    settings = sampler.model_dump(mode="json")
    for entry in settings["guidance"]:
        for path in ("weights", "predictor", "attribute"):
            entry.pop(path, None)  # its content is known
    facts |= {key: value for key, value in settings.items() if value not in (None, {}, [])}
    if request.prompts:
        facts["prompts"] = list(request.prompts)
    if request.edit is not None:
        facts |= request.edit.facts()
    if any(entry.needs.whole_batches for entry in sampler.guidance):
        facts["batch_size"] = request.batch_size
    return json.loads(json.dumps(facts))  # as it is read back


def png_text(facts: dict[str, Any], class_name: str = "") -> PngInfo:
    """The facts as Pillow writes them into a PNG: image.save(path, pnginfo=...).

    class_name: of the image's class, a text chunk `class` of its own; "": none.
    """
    text = PngInfo()
    text.add_text(KEY, json.dumps(facts))
    if class_name:
        text.add_itxt("class", class_name)
    return text


def check_folder(folder: Path, facts: dict[str, Any]) -> None:
    """Raise a one-line ValueError where images in `folder` were not drawn with these facts.

    A folder that does not exist, is empty, or holds images of the same generation will do.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file: name a folder")
    for path in _images(folder):
        found = _facts_of(path)
        differing = [key for key in {**facts, **found} if facts.get(key) != found.get(key)]
        differing = [key for key in differing if key != _FILE]
        if found and not differing:
            continue
        what = "of another origin"
        if found:
            what = "drawn with " + ", ".join(_difference(key, found, facts) for key in differing)
        raise ValueError(
            f"--out {folder} holds images that are no part of this generation, such as {path.name} "
            f"({what}): name a new or empty folder"
        )


def _images(folder: Path) -> "Iterator[Path]":
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in image_suffixes() and not path.name.startswith("."):
                yield path


def _facts_of(path: Path) -> dict[str, Any]:
    """What the image at `path` says that it was drawn with; {} where it says nothing."""
    try:
        with Image.open(path, formats=("PNG",)) as image:  # reads no pixels
            found = json.loads(image.info.get(KEY, "{}"))
    except Exception:  # on a damaged file Pillow may raise anything
        return {}
    return found if isinstance(found, dict) else {}


def _difference(key: str, found: dict[str, Any], facts: dict[str, Any]) -> str:
    if key == "weights":
        return f"other weights, {found.get(_FILE, 'without a name')}"
    return f"{key} {found.get(key, 'not set')}, not {facts.get(key, 'set')}"
