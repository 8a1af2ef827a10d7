"""Makes reports/report.html: pictures, metrics with floors, curves and protocol on one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from evaluation.metric_table import BETTER_TEXT, metric_entry, shown
from foundation.number_names import number_name
from pipelines.reporting.figures import Line, grid_chart, length_chart, line_chart
from pipelines.reporting.game_notes import game_notes, gate_rows
from pipelines.reporting.html import (
    Html,
    details,
    facts,
    figure,
    grid,
    number,
    page,
    section,
    table,
    text,
    tiles,
    with_deviation,
)
from pipelines.reporting.stage_outputs import Item, Metric, best_item
from pipelines.settings.dotted_keys import flatten

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Inputs:
    """All that the page is made of."""

    items: Sequence[Item]
    train: Mapping[str, Any]
    curves: Curves
    dataset: Mapping[str, Any]
    reference: Mapping[str, Any]
    reconstruct: Mapping[str, Any]
    pictures: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """{item: {"samples": PNG, "nearest": PNG}}"""


def render(inputs: Inputs) -> str:
    """The page as HTML. Equal inputs give equal text: it contains no time and no speed."""
    by, best = best_item(inputs.items)
    title = _title(inputs)
    return page(
        title,
        [
            _header(inputs, title, by, best),
            _headline_tiles(best),
            _pictures(inputs, best),
            _metrics(best),
            _lengths(inputs, best),
            _all_samples(inputs, best),
            _training(inputs),
            _game(inputs),
            _protocol(inputs, best),
        ],
    )


def length_charts(items: Sequence[Item]) -> dict[str, bytes]:
    """{metric: chart over the EMA length as PNG} of the metrics that the table charts."""
    charts = {}
    for name in shown("length chart"):
        groups: dict[str, list[tuple[float, float]]] = {}
        floors = {}
        for item in items:
            metric = item.metrics.get(name, Metric())
            if metric.value is not None:
                groups.setdefault(item.sampler, []).append((item.ema_length, metric.value))
            if metric.floor is not None:
                floors[item.sampler] = (metric.floor, metric.floor_std or 0.0)
        if groups:
            about = metric_entry(name, items[0].metric_name)
            charts[name] = length_chart(about.title, groups, floors, about.better)
    return charts


def _title(inputs: Inputs) -> str:
    kind = inputs.train.get("structure_kind", "none")
    game = "without the structure game" if kind == "none" else f"with the {kind} structure game"
    return f"{inputs.dataset.get('source', 'Images')}, {game}"


def _header(inputs: Inputs, title: str, by: str, best: Item) -> str:
    side, channels = inputs.dataset.get("resolution"), inputs.dataset.get("channels")
    kimg = inputs.train.get("total_nimg", 0) / 1000
    chosen = best.metrics.get(by, Metric())
    about = metric_entry(by, best.metric_name)
    floor = ""
    if chosen.floor is not None:
        reached = with_deviation(chosen.floor, chosen.floor_std)
        floor = f"; real images against real images give {reached}"
    evaluations = ""
    if best.network_evaluations is not None:
        evaluations = f" and {best.network_evaluations} network evaluations per image"
    lead = (
        f"{best.num_images:,} generated images, judged beside images held out from training. "
        f"The best of {len(inputs.items)} settings by {about.title} is EMA length "
        f"{number_name(best.ema_length)} with sampler “{best.sampler}”{evaluations}: "
        f"{about.title} {number(chosen.value)}{floor}."
    )
    kicker = f"{side}×{side}, {channels} channel{'s' if channels != 1 else ''}, {kimg:g} kimg"
    return (
        f'<header><p class="kicker">{text(kicker)}</p><h1>{text(title[:1].upper() + title[1:])}'
        f'</h1><p class="lead">{text(lead)}</p></header>'
    )


def _headline_tiles(best: Item) -> str:
    entries = []
    for name in shown("tile"):
        metric = best.metrics.get(name, Metric())
        if metric.value is not None:
            remark = "" if metric.floor is None else f"real images: {number(metric.floor)}"
            if metric.resolvable is False:
                remark = "not resolvable at this n"
            about = metric_entry(name, best.metric_name)
            entries.append((about.title, number(metric.value), remark))
    return tiles(entries)


def _pictures(inputs: Inputs, best: Item) -> str:
    pictures = inputs.pictures.get(best.item, {})
    samples = figure(pictures.get("samples"), f"Samples of {best.item}.", "generated images")
    nearest = figure(
        pictures.get("nearest"),
        "Each sample beside its nearest training image: copies would show here.",
        "generated images beside their nearest training images",
    )
    return section("Samples", "", grid(samples, nearest))


def _metrics(best: Item) -> str:
    rows = []
    for name, metric in best.metrics.items():
        about = metric_entry(name, best.metric_name)
        unsure = " Not resolvable at this n." if metric.resolvable is False else ""
        says = f"{about.says} {BETTER_TEXT[about.better]}{unsure}"
        title = Html(f"{escape(about.title)}<small>{escape(says)}</small>")
        value = with_deviation(metric.value, metric.std)
        rows.append((title, value, with_deviation(metric.floor, metric.floor_std)))
    note = (
        "The floor is the same number between real images and other real images, at the same "
        f"count (n = {best.n}); a model cannot be expected to do better. "
        "The standard deviations are over random draws of images; they say nothing of other seeds."
    )
    listing = table(("metric", "value ± std", "floor ± std"), rows, numeric=(1, 2))
    return section(f"Metrics of {best.item}", note, listing)


def _lengths(inputs: Inputs, best: Item) -> str:
    charts = length_charts(inputs.items) if len(inputs.items) > 1 else {}
    figures = [figure(png, "", f"{name} over the EMA length") for name, png in charts.items()]
    measured = {name for item in inputs.items for name in item.metrics}
    names = [name for name in shown("tile") if name in measured]
    titles = [metric_entry(name, best.metric_name).title for name in names]
    rows = [
        (
            number_name(item.ema_length),
            item.sampler,
            item.network_evaluations,
            *(number(item.value(n)) for n in names),
        )
        for item in inputs.items
    ]
    kids = [kid for item in inputs.items if (kid := item.value("kid")) is not None]
    ties = sum(kid <= min(kids) + (best.metrics["kid"].std or 0.0) for kid in kids)
    errors = {
        length: entry.get("relative_profile_error")
        for length, entry in (inputs.reconstruct.get("lengths") or {}).items()
    }
    worst = max((e for e in errors.values() if e is not None), default=None)
    note = "The length of the weights' moving average is chosen after training, at no cost."
    if worst is not None:
        note += (
            f" Made from {inputs.reconstruct.get('num_snapshots')} snapshots; the largest relative "
            f"error of an averaging profile is {number(worst)}."
        )
    if ties > 1:
        note += f" By KID, {ties} of these settings lie within a standard deviation of the best."
    listing = table(
        ("EMA length", "sampler", "network evaluations", *titles),
        rows,
        numeric=tuple(range(2, 3 + len(names))),
        best=list(inputs.items).index(best),
    )
    grids = {item.sampler: item.sigmas for item in inputs.items if item.sigmas}
    title = "Time grid of each sampler"
    drawn = figure(grid_chart(title, grids), "", title) if grids else ""
    return section("EMA length and sampler", note, grid(*figures), listing, drawn)


def _all_samples(inputs: Inputs, best: Item) -> str:
    others = [item.item for item in inputs.items if item.item != best.item]
    figures = [
        figure(inputs.pictures.get(name, {}).get("samples"), name, f"samples of {name}")
        for name in others
    ]
    return section("The same seeds at the other settings", "", grid(*figures, kind="thumbs"))


def _training(inputs: Inputs) -> str:
    curves, train = inputs.curves, inputs.train
    loss = "denoising_loss" if "denoising_loss" in curves else "loss"
    names = {loss: "training", "held_out/loss": "held out", "held_out/train_loss": "train, fixed"}
    bins = {
        n: f"bin {n[len('held_out/bin') :].split('_')[0]}"
        for n in sorted(curves)
        if n.startswith("held_out/bin")
    }
    shown = [
        _curves("Denoising loss", curves, names),
        _curves("Held-out loss by noise level", curves, bins),
        _curve("held_out/gap", curves),
        _curve("grad_norm", curves),
    ]
    skipped = {"structure_kind", "structure_plays", "gate", "settings", "snapshots", "final"}
    listed = {key: value for key, value in train.items() if key not in skipped}
    settings = flatten(train["settings"]) if train.get("settings") else {}
    about = details("Training in figures", facts(listed | flatten(train.get("final") or {})))
    return section("Training", "", grid(*shown), about, details("Settings", facts(settings)))


def _game(inputs: Inputs) -> str:
    if inputs.train.get("structure_kind", "none") == "none":
        return ""
    curves = inputs.curves
    logits = {"structure/real_logit": "real", "structure/fake_logit": "fake"}
    shown = [
        _curves("Discriminator logits", curves, logits),
        _curve("structure/lambda", curves),
        _curve("structure/gate_open", curves),
        _curves("Gradient penalties", curves, {"structure/r1": "R1", "structure/r2": "R2"}),
    ]
    note = "The gate keeps the game out of training where it cannot help or would harm."
    rows = table(("", ""), gate_rows(inputs.train), numeric=(1,))
    about = game_notes(inputs.train, inputs.items), grid(*shown), rows
    return section("The structure game", note, *about)


def _protocol(inputs: Inputs, best: Item) -> str:
    data, reference = inputs.dataset, inputs.reference
    shape = (
        "source",
        "num_images",
        "num_distinct",
        "num_train",
        "num_held_out",
        "resolution",
        "channels",
        "num_classes",
        "resize",
        "background",
        "content_hash",
    )
    about = {key: data[key] for key in shape if key in data}
    about["skipped files"] = len(data.get("skipped") or [])
    if data.get("untrained_classes"):
        about["classes without a training image"] = ", ".join(data["untrained_classes"])
    about["files that are no images"] = sum((data.get("other_files") or {}).values())
    counts = data.get("class_counts") or []
    counts = dict(zip(data.get("label_names") or range(len(counts)), counts, strict=False))
    versions: dict[str, Any] = {}
    protocol = {**(reference.get("protocol") or {}), **best.protocol}
    for source in (data, reference, reference.get("protocol") or {}, best.protocol):
        versions |= source.get("versions") or {}
    notes = [f'<p class="note">{text(note)}</p>' for note in protocol.get("notes") or []]
    protocol = {key: value for key, value in protocol.items() if key not in ("versions", "notes")}
    return section(
        "How it was measured",
        "All that published numbers tend to differ by.",
        *notes,
        facts({"images generated": best.num_images, "n on each side": best.n} | flatten(protocol)),
        details(
            "Data set", facts(about), facts({str(k): v for k, v in list(counts.items())[:100]})
        ),
        details("Versions", facts(dict(sorted(versions.items())))),
    )


def _curve(name: str, curves: Curves) -> str:
    """Chart of one curve, titled as in the table of metrics."""
    title = metric_entry(name).title
    return _curves(title, curves, {name: title})


def _curves(title: str, curves: Curves, names: Mapping[str, str]) -> str:
    lines = [Line(label, *curves[name]) for name, label in names.items() if name in curves]
    return figure(line_chart(title, lines), "", title) if lines else ""
