"""Sections of the training: its curves, and the structure game."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from evaluation.metric_table import TABLE, better_sentence, metric_entry
from foundation.counted import counted
from pipelines.reporting.figures import Line, line_chart
from pipelines.reporting.game_notes import game_notes
from pipelines.reporting.html import details, facts, figure, grid, section, table, text
from pipelines.reporting.inputs import Curves, Inputs
from pipelines.settings.dotted_keys import flatten
from pipelines.tracking.unmoved_game import unmoved_game

LOWEST, HIGHEST = (8, 80, 160), (214, 90, 9)
"""Colours of the curves of the lowest and of the highest noise level."""


def training(inputs: Inputs) -> str:
    """Loss curves, on held-out images also by noise level, and last values."""
    curves, train = inputs.curves, inputs.train
    loss = "denoising_loss" if "denoising_loss" in curves else "loss"
    names = {
        loss: "training steps",
        "held_out/loss": "held-out images",
        "held_out/train_loss": "training images, fixed noise",
    }
    drawn = [
        _curves(
            "Denoising loss",
            curves,
            names,
            "Held-out images are judged with the same noise each time, and so are as many training "
            f"images. {better_sentence(metric_entry(loss).better)}",
        ),
        _by_noise_level(inputs),
        _curve("held_out/gap", curves),
        _curve("grad_norm", curves),
    ]
    counted = {
        "images seen": train.get("total_nimg"),
        "images in a batch": train.get("batch_size"),
        "parameters of the network": train.get("num_parameters"),
        "steps left out, since their gradient was not finite": train.get("skipped_steps"),
    }
    rows = [(name, value) for name, value in counted.items() if value is not None]
    last = flatten(train.get("final") or {})
    if moves_adapter(
        curves
    ):  # lambda is 1 in each play, and a mean of 1 and 0 says the gate's share
        last.pop("structure/lambda", None)
    return section(
        "Training",
        "",
        table(("", ""), rows, numeric=(1,)),
        grid(*drawn),
        details("Last value of every curve", facts(_titled(last, train))),
    )


def _titled(last: Mapping[str, Any], train: Mapping[str, Any]) -> dict[str, Any]:
    """Last values by the titles of their curves."""
    edges = train.get("sigma_bin_edges") or []
    levels = {f"held_out/bin{i}_loss": n for i, n in enumerate(noise_levels(edges, len(edges) + 1))}
    found = {}
    for name, value in last.items():
        title = f"Held-out loss at {levels[name]}" if edges and name in levels else name
        found[metric_entry(name).title if name in TABLE else title] = value
    return found


def noise_levels(edges: Sequence[float], bins: int) -> list[str]:
    """What each bin of noise levels is called: "σ < 0.12", "0.12 to 0.24", ..., "σ > 2.1".

    edges: the bins - 1 levels between them, ascending. Where they are not known, as in files of
    older versions, bins have numbers.
    """
    if len(edges) != bins - 1:
        return [f"level {i + 1} of {bins}" for i in range(bins)]
    if not edges:
        return ["all levels"]
    said = [f"{edge:.2g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(said)]
    return [f"σ < {said[0]}", *between, f"σ > {said[-1]}"]


def _by_noise_level(inputs: Inputs) -> str:
    """Held-out loss in each interval of sigma."""
    found = {}
    for name in inputs.curves:
        number = name.removeprefix("held_out/bin").removesuffix("_loss")
        if name.startswith("held_out/bin") and number.isdecimal():
            found[int(number)] = inputs.curves[name]
    edges = inputs.train.get("sigma_bin_edges") or []
    count = len(edges) + 1 if edges else max(found, default=-1) + 1
    titles = noise_levels(edges, count)
    lines = [
        Line(titles[number], *found[number], _shade(number / max(1, count - 1)))
        for number in sorted(found)
        if number < len(titles)
    ]
    if not lines:
        return ""
    title = "Held-out loss by noise level σ"
    caption = (
        "The loss of the same held-out images, split by the noise σ that was added (pixels lie in "
        "[-1, 1]); the intervals are equally likely under the law of noise.schedule. Where a curve "
        "rises, the model gets worse at that noise level."
    )
    return figure(line_chart(title, lines), caption, title)


def _shade(share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(LOWEST, HIGHEST, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def game(inputs: Inputs) -> str:
    """The structure game: how often it was played, why not, and its curves; "" without one."""
    if inputs.train.get("structure_kind", "none") == "none":
        return ""
    curves = inputs.curves
    logits = {"structure/real_logit": "real images", "structure/fake_logit": "generated images"}
    drawn = [
        _curves(
            "Discriminator logits",
            curves,
            logits,
            "What the discriminator says of real and of generated images. The further apart the "
            "curves, the better it tells them apart; equal curves: it is guessing.",
        ),
        "" if moves_adapter(curves) else _curve("structure/lambda", curves),
        _curve("structure/gate_open", curves),
        _curves(
            "Gradient penalties",
            curves,
            {"structure/r1": "R1, on real images", "structure/r2": "R2, on generated images"},
            "Size of the discriminator's gradient at its inputs, which the penalties keep small.",
        ),
    ]
    played = f"a discriminator (structure.kind: {inputs.train['structure_kind']}) plays against"
    note = (
        f"Every few steps {played} the denoiser's adapter, which samplers with adapter: true use. "
        "A gate lets its gradient reach the adapter only while it has learned something and does "
        "not win by far; the game's weight, lambda, is 1 then. The denoiser itself, and so its "
        "held-out loss, is what it is without a game."
        if moves_adapter(curves)
        else f"Every few steps {played} the denoiser. A gate lets its gradient reach the denoiser "
        "only while it has learned something, does not win by far, and the held-out loss does not "
        "worsen."
    )
    lines = "".join(f"<p>{text(line)}</p>" for line in _told(inputs.train))
    remarks = game_notes(inputs.train, inputs.items)
    return section("The structure game", note, remarks, lines, grid(*drawn))


def moves_adapter(curves: Collection[str]) -> bool:
    """Whether the game moves the denoiser's adapter alone, as the names of the curves tell."""
    return "structure/adapter_lr" in curves


def _told(train: Mapping[str, Any]) -> list[str]:
    """Sentences on the plays of a game that moved something; for others see `game_notes`."""
    gate, plays = train.get("gate") or {}, train.get("structure_plays") or 0
    if unmoved_game(train) is not None:
        return []
    lines = [f"The discriminator played {plays:,} times."]
    if gate.get("open_fraction") is not None:
        lines[0] += f" The gate was open in {gate['open_fraction']:.0%} of the plays."
    reasons = {reason: count for reason, count in (gate.get("shut_reasons") or {}).items() if count}
    if reasons:
        told = ", ".join(
            f"{reason} ({counted(count, 'play')})" for reason, count in reasons.items()
        )
        lines.append(f"It was shut because: {told}.")
    return lines


def _curve(name: str, curves: Curves) -> str:
    """Chart of one curve, titled and explained as in the table of metrics."""
    about = metric_entry(name)
    caption = f"{about.says} {better_sentence(about.better)}".strip() if name in TABLE else ""
    return _curves(about.title, curves, {name: about.title}, caption)


def _curves(title: str, curves: Curves, names: Mapping[str, str], caption: str = "") -> str:
    lines = [Line(label, *curves[name]) for name, label in names.items() if name in curves]
    return figure(line_chart(title, lines), caption, title) if lines else ""
