"""Sections of pictures: samples beside real images, the data set, samples of other settings."""

from collections.abc import Mapping, Sequence

from dataset.class_counts import class_counts
from foundation.counted import counted
from foundation.number_names import number_name
from pipelines.reporting.html import details, facts, figure, grid, section, text
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.stage_outputs import Item

NAMED = 12
"""So many classes are named in a sentence."""


def samples(inputs: Inputs, best: Item) -> str:
    """Samples of the best setting beside real images, and beside their nearest training images."""
    pictures = inputs.pictures.get(best.item, {})
    labelled = bool(inputs.dataset.get("num_classes"))
    made = figure(
        pictures.get("samples"),
        f"Generated: the first of {best.num_images:,} images of {_setting(best)}, none picked by "
        "hand.",
        "generated images",
    )
    real = figure(
        pictures.get("real"),
        "Real: "
        + ("the same classes in the same places, " if labelled else "")
        + "held-out images, which the model never saw (training images where a class has too few).",
        "real images of the same classes",
    )
    nearest = figure(
        pictures.get("nearest"),
        "Copies of training images would show here: each generated image (left), then the training "
        "image nearest to it in pixels, then the one nearest in the metric's features.",
        "generated images beside their nearest training images",
    )
    return section(
        "Generated and real images",
        _unseen(best),
        grid(made, real),
        details("Is it copied? Each generated image beside its nearest training images", nearest),
    )


def _unseen(best: Item) -> str:
    """Which classes have no sample."""
    lines = []
    if best.classes_without_image:
        lines.append(
            f"Classes without any generated image, so that nothing here is said of them: "
            f"{_names(best.classes_without_image)}."
        )
    hidden = [n for n in best.classes_without_picture if n not in best.classes_without_image]
    if hidden:
        lines.append(
            f"Classes that were judged but are not in the picture: {_names(hidden)} (raise "
            "evaluation.picture_images to see them)."
        )
    return " ".join(lines)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def data_set(inputs: Inputs) -> str:
    """Some images of each class, and how many there are."""
    data = inputs.dataset
    lines = [
        f"{data.get('num_train', 0):,} images were trained on; {data.get('num_held_out', 0):,} "
        "were held out, chosen by their content, and serve to judge the generated ones.",
        *(line[:1].upper() + line[1:] + "." for line in _class_lines(data)),
    ]
    if data.get("num_captions"):
        lines.append(
            f"The labels are {data['num_captions']:,} distinct captions, which the model is asked "
            "for; classes are the groups of images that are compared."
        )
    if data.get("empty_classes"):
        lines.append(f"Classes without a readable image: {_names(data['empty_classes'])}.")
    if data.get("untrained_classes"):
        lines.append(
            "Classes without a training image, which are neither trained nor judged: "
            f"{_names(list(data['untrained_classes']))}."
        )
    if data.get("skipped"):
        lines.append(
            f"{counted(len(data['skipped']), 'file')} could not be read; dataset.json names each."
        )
    drawn = figure(inputs.sheet, "Some images of each class, with their number.", "the data set")
    counts = data.get("class_counts") or []
    listed: Mapping[str, int] = dict(
        list(zip(data.get("label_names") or [], counts, strict=False))[:100]
    )
    first = f", the first 100 of {len(counts):,}" if len(counts) > 100 else ""
    folded = details(f"Images of each class{first}", facts(listed))
    words = "".join(f"<p>{text(line)}</p>" for line in lines)
    return section("The data set", "", words, drawn, folded if len(counts) > 12 else "")


def _class_lines(data: Mapping) -> list[str]:
    try:
        return class_counts(data)
    except (TypeError, ValueError):  # counts of an older version, or none that fit the names
        return []


def other_settings(inputs: Inputs, best: Item) -> str:
    """Samples of the other settings, from the same noise."""
    figures = [
        figure(
            inputs.pictures.get(item.item, {}).get("samples"),
            f"EMA length {number_name(item.ema_length)}, sampler {item.sampler}",
            f"samples of {item.item}",
        )
        for item in inputs.items
        if item.item != best.item
    ]
    note = (
        "Each tile starts from the same noise and class as the tile at its place above, so what "
        "differs is due to the setting alone."
    )
    return section("The same seeds at the other settings", note, grid(*figures, kind="thumbs"))


def _setting(item: Item) -> str:
    return f"EMA length {number_name(item.ema_length)} and sampler “{item.sampler}”"
