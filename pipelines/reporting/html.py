"""Parts of self-contained HTML pages: style and pictures are inside, nothing is loaded."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { --ink: #1f2933; --muted: #616e7c; --line: #e4e7eb; --accent: #0b7285; --paper: #fff; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f7; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 64px; }
header { padding: 12px 0 4px; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .4rem;
  letter-spacing: -.015em; }
h2 { font-size: 1.2rem; margin: 0 0 .2rem; letter-spacing: -.005em; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
.lead { font-size: 1.08rem; }
.muted, figcaption, .note { color: var(--muted); font-size: .9rem; }
.kicker { color: var(--accent); font-weight: 600; font-size: .82rem; letter-spacing: .06em;
  text-transform: uppercase; margin: 0 0 .35rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 20px 22px; margin-top: 18px; }
.grid { display: grid; gap: 18px 22px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.thumbs { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); }
.tiles { display: grid; gap: 12px; margin-top: 18px;
  grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); }
.tile { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 12px 14px; }
.tile b { display: block; font-size: 1.55rem; line-height: 1.25; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.tile .name { font-size: .84rem; font-weight: 600; color: var(--muted); }
figure { margin: 10px 0 0; min-width: 0; }
img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
img.wide { width: 100%; }
figcaption { margin-top: 6px; }
.warn { color: #9c4221; }
ul.facts { margin: .2rem 0 .8rem; padding-left: 1.2rem; }
h3 { font-size: 1rem; margin: 18px 0 .2rem; }
.scroll { overflow-x: auto; margin: 8px -22px 0; padding: 0 22px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .93rem; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--muted); font-weight: 600; font-size: .82rem; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.facts td { overflow-wrap: anywhere; }
tr.best td { background: #e9f5f6; }
td small { display: block; color: var(--muted); font-size: .86rem; max-width: 34rem; }
td code, p code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
details + details { margin-top: 8px; }
@media (max-width: 600px) { main { padding: 16px 12px 40px; }
  section { padding: 16px 14px; } .scroll { margin: 8px -14px 0; padding: 0 14px; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .thumbs { grid-template-columns: 1fr 1fr; } }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
"""


class Html(str):
    """Text that is HTML already; `text` escapes all other strings."""


def text(value: Any) -> str:
    """HTML of a value: numbers short, None as a dash."""
    if isinstance(value, Html):
        return value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict | list | tuple):
        return escape(json.dumps(value))
    return escape(str(value))


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits: 0.00123, 12.3, 45,600; None as a dash."""
    if value is None:
        return "–"
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) < 1e-12:
        return "0"
    # Rounding counts: 999.96 has the four digits of 1,000.
    whole = int(f"{value:.{digits - 1}e}".partition("e")[2]) >= digits
    if whole or float(value).is_integer():
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".rstrip(".")


def with_deviation(value: float | None, deviation: float | None) -> str:
    """A number and its standard deviation, both to the deviation's second digit: 0.0012 ± 0.0007.

    A deviation that comes from rounding alone, below 1e-9 of the number or 1e-12, is left out.
    """
    if value is None or not deviation or not math.isfinite(value) or not 0 < deviation < math.inf:
        return number(value)
    if deviation < max(1e-9 * abs(value), 1e-12):
        return number(value)
    place = _exponent(deviation) - 1  # of the deviation's second digit, as a power of ten
    # z: a number that rounds to zero has no sign.
    if place < -6 and abs(value) < 1e-4:
        power = max(_exponent(value) if value else place, place + 1)
        decimals = power - place
        scale = 10.0**power
        return f"({value / scale:z.{decimals}f} ± {deviation / scale:.{decimals}f})e{power:+03d}"
    decimals = max(0, -place)
    return f"{round(value, -place):z,.{decimals}f} ± {round(deviation, -place):,.{decimals}f}"


def _exponent(value: float) -> int:
    """The power of ten of the first of two digits: -2 of 0.0123, and -1 of 0.0996."""
    return int(f"{value:.1e}".partition("e")[2])


def page(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, note: str, *parts: str) -> str:
    """A titled box; "" if all of its parts are empty."""
    inner = "\n".join(part for part in parts if part)
    if not inner:
        return ""
    about = f'<p class="note">{text(note)}</p>' if note else ""
    return f"<section>\n<h2>{text(title)}</h2>\n{about}\n{inner}\n</section>"


def tiles(entries: Sequence[tuple[str, str, str]]) -> str:
    """A row of boxes; entries: (name, value, remark)."""
    boxes = [
        f'<div class="tile"><span class="name">{text(name)}</span><b>{text(value)}</b>'
        f'<span class="muted">{text(remark)}</span></div>'
        for name, value, remark in entries
    ]
    return f'<div class="tiles">{"".join(boxes)}</div>' if boxes else ""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numeric: Sequence[int] = (),
    best: int | None = None,
) -> str:
    """A table; the columns of these indices are aligned to the right, the row `best` is marked."""
    if not rows:
        return ""

    def cells(kind: str, values: Sequence[Any]) -> str:
        classes = [' class="number"' if i in numeric else "" for i in range(len(values))]
        return "".join(
            f"<{kind}{c}>{text(v)}</{kind}>" for c, v in zip(classes, values, strict=True)
        )

    marks = [' class="best"' if i == best else "" for i in range(len(rows))]
    lines = [f"<tr{mark}>{cells('td', row)}</tr>" for mark, row in zip(marks, rows, strict=True)]
    heading = f"<thead><tr>{cells('th', head)}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table>{heading}<tbody>{"".join(lines)}</tbody></table></div>'


def facts(entries: Mapping[str, Any]) -> str:
    """A two-column table of names and values."""
    rows = [(Html(f"<code>{escape(k)}</code>"), v) for k, v in entries.items()]
    return f'<div class="facts">{table(("", ""), rows)}</div>' if rows else ""


def figure(png: bytes | None, caption: str, alt: str, wide: bool = True) -> str:
    """A PNG picture with its caption; "" without a picture."""
    if not png:
        return ""
    data = base64.b64encode(png).decode()
    kind = ' class="wide"' if wide else ""
    return (
        f'<figure><img{kind} alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def grid(*parts: str, kind: str = "grid") -> str:
    """Parts side by side, on a phone one below the other; kind "thumbs" makes them small."""
    inner = "".join(part for part in parts if part)
    return f'<div class="{kind}">{inner}</div>' if inner else ""


def details(summary: str, *parts: str) -> str:
    """Parts that are folded until the reader clicks the summary; "" if all are empty."""
    inner = "".join(part for part in parts if part)
    return f"<details><summary>{text(summary)}</summary>{inner}</details>" if inner else ""
