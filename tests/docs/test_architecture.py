"""docs/architecture.md and README.md name folders and files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def paths(text: str) -> list[str]:
    """What stands in backticks and looks like a path of this project from its root."""
    top = "|".join(path.parent.name for path in ROOT.glob("*/__init__.py"))
    return re.findall(rf"`((?:{top}|docs|tests)/[\w/.]*)`", text)


def test_what_the_seams_and_lines_belong_to_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = paths(text)
    assert len(found) > 25
    assert not [path for path in found if not (ROOT / path).exists()]
    seams = text.partition("## Seams")[2].partition("##")[0]
    rows = re.findall(r"^\| (\w[^|]*) \|", seams, re.MULTILINE)
    assert len(rows) == 17 and rows[0] == "an idea"  # sixteen seams under the head


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/extending.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    assert links and not [link for link in links if not (path.parent / link).exists()]


def test_the_readme_names_places_that_are_there():
    section = (ROOT / "README.md").read_text().partition("## A new idea")[2].partition("\n## ")[0]
    found = paths(section)
    assert len(found) >= 8 and not [path for path in found if not (ROOT / path).exists()]
