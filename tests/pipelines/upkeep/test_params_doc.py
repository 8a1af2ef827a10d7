"""docs/params.md is what the settings' classes say."""

from pathlib import Path

from pipelines.upkeep.params_doc import render

ROOT = Path(__file__).resolve().parents[3]


def test_page_is_up_to_date():
    mend = "run: python -m pipelines.upkeep.params_doc > docs/params.md"
    assert (ROOT / "docs" / "params.md").read_text() == render(), mend


def test_every_knob_has_a_meaning():
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert not [row for row in rows if row.rstrip(" |").endswith("`")], "a knob without meaning"
