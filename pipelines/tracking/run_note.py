"""The description with which a run's page opens in MLflow: main numbers, pictures, where more is.

MLflow opens every run on its tab Overview, and no tag chooses another. Of the description it shows
the first 120 pixels there, so one line of numbers comes first and pictures next.
"""

from collections.abc import Mapping
from urllib.parse import quote

NOTE = "mlflow.note.content"
PICTURES = "drawn/"
"""Section of the page with charts that holds the pictures; sections come in alphabetic order, so
this is before held_out, and short, since cards cut their titles."""
END = "<!-- end of results -->"
"""Stands between the results and what else a description says; MLflow does not show it."""


def results_note(
    run_id: str,
    headline: str,
    pictures: Mapping[str, str],
    more: str,
    links: Mapping[str, str],
) -> str:
    """Markdown: a line of numbers, pictures, and links to charts and files.

    Args:
        headline, more: markdown before and after the pictures.
        pictures: {path among the run's files: what it shows}.
        links: {name: address}.
    """
    drawn = [
        f"![{plain(what)}](get-artifact?path={quote(path, safe='')}&run_uuid={run_id})"
        for path, what in pictures.items()
    ]
    where = ", ".join(f"[{name}]({address})" for name, address in links.items())
    captions = "; ".join(plain(what) for what in pictures.values())
    said = [f"Pictures: {captions}." if captions else "", f"More: {where}." if links else ""]
    parts = [headline, " ".join(drawn), more, " ".join(filter(None, said))]
    return "\n\n".join(filter(None, parts))


def with_results(note: str | None, results: str) -> str:
    """A description with `results` in front, in place of earlier ones."""
    rest = (note or "").rpartition(END)[2].strip()
    return f"{results}\n\n{END}\n\n{rest}".rstrip()


def results_of(note: str | None) -> str | None:
    """The results in a description; None if it has none."""
    before, end, _ = (note or "").rpartition(END)
    return before.strip() if end else None


def plain(text: str) -> str:
    """A user's text that markdown shows as it is, also within brackets."""
    return "".join(f"\\{c}" if c in "\\[]()*_`<>#|!" else c for c in text)
