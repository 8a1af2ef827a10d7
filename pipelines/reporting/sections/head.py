"""The head of the report: title, the result in a few sentences, and what the run was made from."""

from evaluation.metric_table import metric_entry, shown
from foundation.number_names import number_name
from pipelines.reporting.html import (
    Html,
    details,
    number,
    section,
    table,
    text,
    tiles,
    with_deviation,
)
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.second_floor import second_floor, second_floor_sentence
from pipelines.reporting.stage_outputs import Item, Metric

FEW_IMAGES = 100
"""With fewer images on each side the page says at its top that numbers are rough."""
MOST_UNFOLDED = 8
"""More changed params than this are folded away."""


def title(inputs: Inputs) -> str:
    """ "Generated images of “digits”"."""
    name = inputs.origin.name or inputs.dataset.get("source", "")
    return f"Generated images of “{name}”" if name else "Generated images"


def header(inputs: Inputs, by: str, best: Item) -> str:
    """Title, and the main result as sentences."""
    side, channels = inputs.dataset.get("resolution"), inputs.dataset.get("channels")
    kind = inputs.train.get("structure_kind", "none")
    game = "no structure game" if kind == "none" else f"structure game: {kind}"
    seen = inputs.train.get("total_nimg", 0)
    colour = "grey" if channels == 1 else "colour"
    kicker = f"{side}×{side} {colour} · {seen:,} images seen in training · {game}"
    said = (
        _best_setting(inputs, by, best),
        _against_floor(by, best),
        second_floor_sentence(best),
    )
    lead = " ".join(filter(None, said))
    return (
        f'<header><p class="kicker">{text(kicker)}</p><h1>{text(title(inputs))}</h1>'
        f'<p class="lead">{text(lead)}</p>{_warning(best)}{_near_copies(inputs)}</header>'
    )


def _warning(best: Item) -> str:
    """A line on top where there are too few images for numbers to say much."""
    if best.n is None or best.n >= FEW_IMAGES:
        return ""
    said = (
        f"Only {best.n} images stand on each side of every comparison (as many as are generated, "
        "but at most half of the held-out ones), so all numbers here are rough, and noise may look "
        "good. More held-out images make them sharper: add images, or raise dataset.held_out."
    )
    return f'<p class="warn">{text(said)}</p>'


def _near_copies(inputs: Inputs) -> str:
    """A line on top where real images resemble each other so closely that floors are flattered."""
    copies = inputs.reference.get("copies") or {}
    near = copies.get("near_copies") or 0
    if not near:
        return ""
    across = copies.get("near_copies_across_split", 0)
    said = (
        f"{near:,} of {copies.get('looked_at', 0):,} real images looked at have a near-copy among "
        f"the data, {across:,} of them on the other side of the split. They count as independent "
        "images, though they are not, so the values of real images are less to be trusted. Leave "
        "near-copies out of the data."
    )
    return f'<p class="warn">{text(said)}</p>'


def _best_setting(inputs: Inputs, by: str, best: Item) -> str:
    about = metric_entry(by, best.metric_name)
    evaluations = ""
    if best.network_evaluations is not None:
        evaluations = f", {best.evaluations} network evaluations per image"
    setting = (
        f"EMA length {number_name(best.ema_length)} with sampler “{best.sampler}”{evaluations}"
    )
    if len(inputs.items) == 1:
        return f"One setting was evaluated: {setting}."
    if by not in best.metrics:
        return f"{len(inputs.items)} settings were evaluated; first comes {setting}."
    return f"Of {len(inputs.items)} evaluated settings, the best by {about.title} is {setting}."


def _against_floor(by: str, best: Item) -> str:
    """The metric beside its floor, and how far apart they are."""
    chosen = best.metrics.get(by, Metric())
    if chosen.value is None:
        return ""
    name = metric_entry(by, best.metric_name).title
    found = f"{name} is {number(chosen.value)}"
    if chosen.floor is None:
        return f"{found}."
    found += (
        f"; real images compared with other real images give "
        f"{with_deviation(chosen.floor, chosen.floor_std)}"
    )
    if not chosen.floor_std:
        return f"{found}."
    apart = (chosen.value - chosen.floor) / chosen.floor_std
    images = f"{best.n:,} images" if best.n else "so many images"
    if abs(apart) < 2:
        return (
            f"{found}. {name} does not resolve this difference: with {images} on each side it sees "
            f"only differences above about {number(2 * chosen.floor_std, 2)} (two standard "
            "deviations). So look at the pictures and at the other metrics too."
        )
    return f"{found}. They lie {abs(apart):.1f} standard deviations apart ({images} on each side)."


def headline_tiles(best: Item) -> str:
    """The main metrics of the best setting, each with the value that real images reach.

    Of latents, also with the value of real images that went through the autoencoder.
    """
    entries = []
    for name in shown("tile"):
        metric = best.metrics.get(name, Metric())
        if metric.value is not None:
            floor = with_deviation(metric.floor, metric.floor_std)
            remark = "" if metric.floor is None else f"real: {floor}"
            if (through := second_floor(best, name)) is not None:
                remark += f"; through the autoencoder: {through}"
            if metric.resolvable is False:
                remark = "not resolved with so few images"
            about = metric_entry(name, best.metric_name)
            entries.append((about.title, number(metric.value), remark))
    return tiles(entries)


def origin(inputs: Inputs) -> str:
    """Commit at which the page was drawn, and the params that differ from the closest preset."""
    about = inputs.origin
    parts = [_commit(inputs)]
    rows = [(Html(f"<code>{text(key)}</code>"), *pair) for key, pair in about.changes.items()]
    if about.preset and not rows:
        parts.append(f"<p>All params are those of the preset “{text(about.preset)}”.</p>")
    elif about.preset:
        count = f"{len(rows)} param{'' if len(rows) == 1 else 's'}"
        parts.append(
            f"<p>{count} differ{'s' if len(rows) == 1 else ''} from the closest preset, "
            f"“{text(about.preset)}”:</p>"
        )
        listing = table(("param", f"preset {about.preset}", "this run"), rows)
        folded = len(rows) > MOST_UNFOLDED
        parts.append(details(f"Show all {len(rows)}", listing) if folded else listing)
    return section("What this run was made from", "", *parts)


def _commit(inputs: Inputs) -> str:
    git = inputs.origin.git
    if not git:
        return "<p>The project is not under git, so no commit can be named.</p>"
    said = f"This page was drawn at Git commit <code>{text(git['git.commit'][:12])}</code>"
    if git.get("git.branch", "HEAD") != "HEAD":
        said += f" of branch {text(git['git.branch'])}"
    if git.get("git.dirty") == "true":
        changed = text(git.get("git.changed", ""))
        return (
            f'<p>{said}, <span class="warn">with changes that are not committed</span>: '
            f"<code>{changed}</code></p>"
        )
    return f"<p>{said}; nothing was uncommitted.</p>"
