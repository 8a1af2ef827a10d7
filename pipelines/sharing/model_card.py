"""The README.md of an exported folder: use, metrics with floors and protocol, data, licence."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.metric_table import BETTER_WORDS, METRICS, metric_entry
from pipelines.reporting.html import with_deviation
from pipelines.reporting.stage_outputs import Item
from pipelines.sharing.student_card import what_student

UNFILLED = "TO BE FILLED IN"
"""Begins each line that only whoever shares the weights can write."""
_LISTED = 40


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What the card is written from; the dicts are the stages' own JSON files."""

    title: str
    item: Item
    """The evaluation of these weights."""
    description: Mapping[str, Any]
    """Of the weights."""
    dataset: Mapping[str, Any]
    train: Mapping[str, Any]
    sampler: Mapping[str, Any]
    """Settings that differ from the default sampler's."""
    licence: str | None
    companions: Sequence[str] = ()
    """Sentences on the networks that the weights need besides."""
    data: str | None
    """What the images show, where they come from, and under which terms."""


def model_card(facts: CardFacts) -> str:
    """The card in Markdown, with the head that model hubs read.

    No licence is assumed: where none is given, the card says that it has to be filled in.
    """
    parts = [
        _head(facts),
        f"# {facts.title}\n\n![Images drawn from this model](samples.png)\n\n{_what(facts)}",
        "## Use\n\n" + _use(facts),
        "## How good the images are\n\n" + _metrics(facts.item),
        "## Data\n\n" + _data(facts),
        "## Licence\n\n" + _licence(facts.licence),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _head(facts: CardFacts) -> str:
    lines = ["library_name: diffusers", "tags:", "- image-generation", "- diffusion"]
    if facts.licence and re.fullmatch(r"[a-z0-9][a-z0-9.-]*", facts.licence):
        lines.insert(0, f"license: {facts.licence}")
    elif facts.licence:
        lines.insert(0, "license: other")
    return "\n".join(["---", *lines, "---"])


def _what(facts: CardFacts) -> str:
    channels, high, wide = facts.description["image_shape"]
    data = facts.dataset
    if facts.description.get("codec", {}).get("kind", "none") == "none":
        colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
        images = f"{wide}x{high} {colour} images"
    else:
        images = f"{data['resolution']}x{data['resolution']} images, by way of latents"
    classes = facts.description["num_classes"]
    kind = facts.train.get("structure_kind", "none")
    game = "" if kind == "none" else f", with the {kind} structure game beside it"
    if game and facts.description.get("config", {}).get("adapter_rank"):
        game = (
            f", with the adapter that the {kind} structure game trained"
            if facts.sampler.get("adapter")
            else f" without a game (the file also holds an adapter that the {kind} structure game "
            "trained; the sampler of this card does not use it)"
        )
    student = facts.description.get("student")
    asked = f" for captions ({classes} in training)"
    if "text" not in facts.description:
        asked = f" in {classes} classes" if classes else ""
    images += asked
    backbone = facts.description.get("config", {}).get("backbone", "unet")
    network = {"unet": "U-Net"}.get(backbone, backbone)
    lines = [
        f"A denoising diffusion model (EDM preconditioning, magnitude-preserving {network}) of "
        f"{images}."
        if student is None
        else what_student(student, images)
    ]
    parameters, seen = facts.train.get("num_parameters"), facts.description.get("nimg")
    if parameters is not None and seen is not None:
        lines.append(
            f"{parameters:,} parameters, trained on {seen:,} images (repeats counted){game}; EMA "
            f"length {facts.item.ema_length:g}, chosen after training."
        )
    return "\n".join([*lines, *facts.companions])


def _use(facts: CardFacts) -> str:
    labelled = ", labels=[0]" if facts.description["num_classes"] else ""
    named = ", class_labels=[0]" if facts.description["num_classes"] else ""
    words = ""
    if "text" in facts.description:
        prompt = json.dumps(facts.description["label_names"][0], ensure_ascii=False)
        labelled, named = f", prompts={prompt}", f", prompt={prompt}"
        words = f" --prompt {shlex.quote(facts.description['label_names'][0])}"
    sampler = "Heun in 18 steps"
    if facts.sampler:
        sampler = ", ".join(f"{key} {value}" for key, value in facts.sampler.items())
    tuned = ", or `train.init_from: FOLDER` in\n`params.yaml` to fine-tune it"
    if facts.description.get("student"):
        tuned = ""
    return f"""\
In a clone of the project that trained it (`pip install -e .`), with this folder as `FOLDER`:

```python
import sadm

images = sadm.generate("FOLDER", 16{labelled})  # uint8 [16, H, W, C]
sadm.sample_grid(images).save("images.png")
```

or `python -m pipelines.sample FOLDER{words} --grid images.png`{tuned}. With diffusers
(`pip install -e '.[diffusers]'`), which runs `pipeline.py` and `denoiser/loader.py` of this folder:

```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("FOLDER", trust_remote_code=True)
pipe(16{named}).images[0].save("image.png")
```

Both draw the same images, with the sampler of `model_index.json` ({sampler}). Weights on a hub are
first brought here whole: `FOLDER = huggingface_hub.snapshot_download("USER/NAME")`."""


def _metrics(item: Item) -> str:
    rows = [
        "| metric | this model | real images (its floor) | better |",
        "|---|---|---|---|",
    ]
    says = []
    for name, metric in (
        (name, item.metrics.get(name)) for name, row in METRICS.items() if row.shown
    ):
        if metric is not None and metric.value is not None:
            about = metric_entry(name, item.metric_name)
            rows.append(
                f"| {about.title} | {with_deviation(metric.value, metric.std)} | "
                f"{with_deviation(metric.floor, metric.floor_std)} | {BETTER_WORDS[about.better]} |"
            )
            says.append(f"- {about.title}: {about.says}")
    return "\n\n".join(["\n".join(rows), _protocol(item), "\n".join(says)])


def _protocol(item: Item) -> str:
    protocol = item.protocol
    facts = [f"{item.num_images:,} images were drawn ({item.sampler}: {item.nfe} evaluations each)"]
    if item.n is not None:
        facts.append(
            f"each metric compares {item.n:,} of them with {item.n:,} held-out real images, mean "
            f"and deviation over {protocol.get('draws', 'several')} random draws; the column of "
            "real images is the same metric between training images and held-out ones"
        )
    for key, text in (
        ("extractor", "features: {}"),
        ("input", "their input: {}"),
        ("quantisation", "pixels: {}"),
        ("k", "k = {} neighbours"),
        ("seed", "seed {}"),
    ):
        if protocol.get(key) is not None:
            facts.append(text.format(protocol[key]))
    notes = [str(note) for note in protocol.get("notes") or []]
    return "Protocol: " + "; ".join(facts) + "." + "".join(f" {note}" for note in notes)


def _data(facts: CardFacts) -> str:
    data = facts.dataset
    lines = [
        facts.data
        or f"**{UNFILLED}: what the images show, where they come from, and under which terms.**",
        f"{data['num_images']:,} images at {data['resolution']}x{data['resolution']}: "
        f"{data['num_train']:,} for training, {data['num_held_out']:,} held out for the metrics.",
    ]
    names = list(facts.description.get("label_names") or [])
    counts = data.get("class_counts")
    if names:
        if isinstance(counts, Sequence) and len(counts) == len(names):
            named = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
        else:
            named = names
        more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        what = "Captions, by their number" if "text" in facts.description else "Classes (images)"
        lines.append(f"{what}: {', '.join(named[:_LISTED])}{more}.")
    if data.get("content_hash"):
        lines.append(f"sha256 of the prepared images: `{data['content_hash']}`.")
    return "\n\n".join(lines)


def _licence(licence: str | None) -> str:
    if licence:
        return f"{licence}, as given by whoever shares these weights."
    return (
        f"**{UNFILLED}: under which terms these weights may be used.** The licence of the code "
        "does not cover them, and that of the training images may bind them."
    )
