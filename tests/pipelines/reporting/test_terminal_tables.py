"""Tables stay within the terminal, and show their last column."""

import io
import re
from pathlib import Path

import pytest

from pipelines.console.terminal import terminal
from pipelines.reporting.terminal_tables import print_by_run


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("runs", [1, 2, 5, 12])
def test_every_cell_is_printed_within_the_width(width, runs):
    names = [f"per_sample 16kimg r{i}" for i in range(runs)]
    head = ["metric", *names, "real images", "difference"]
    values = [f"0.{i:04}" for i in range(runs)]
    rows = [["Intrinsic dimension, generated / real", *values, "0.0012 ± 0.0007", "+0.060 (+3.0)"]]
    console = terminal(file=io.StringIO(), width=width)
    print_by_run(console, "metrics", head, rows, runs)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = text.split()
    for wanted in [*values, *(f"r{i}" for i in range(runs)), "(+3.0)", "0.0007", "difference"]:
        assert wanted in words, wanted
    if width == 200 and runs <= 5:
        assert text.count("Intrinsic") == 1


def test_long_values_fold_instead_of_being_cut():
    console = terminal(file=io.StringIO(), width=80)
    value = "[" + ", ".join("{'kind': 'graph_conv'}" for _ in range(4)) + "]"
    print_by_run(console, "params", ["param", "a", "b"], [["model.blocks", value, "[]"]], 2)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("graph_conv") == 4


def test_nothing_is_said_of_no_rows():
    console = terminal(file=io.StringIO(), width=80)
    print_by_run(console, "params that differ", ["param", "a"], [], 1)
    assert "params that differ: none" in console.file.getvalue()


def test_names_are_printed_letter_by_letter():
    """Brackets are no markup, and colons no pictures, in titles, headings, cells and notes."""
    console = terminal(file=io.StringIO(), width=100)
    head, rows = ["samplers=[heun18]", "a[raw]", "b[/raw]"], [["cats[red]", ":ok:", "[bold]x"]]
    print_by_run(console, "title[raw]", head, rows, 2)
    console.print("note of [heun18] and [/raw]")
    text = console.file.getvalue()
    for written in (*head, *rows[0], "title[raw]", "note of [heun18] and [/raw]"):
        assert written in text


def test_every_command_prints_by_this_console():
    files = {path: path.read_text() for path in Path("pipelines").rglob("*.py")}
    makers = [path for path, code in files.items() if re.search(r"\bConsole\(", code)]
    assert makers == [Path("pipelines/console/terminal.py")]
    columns = [c for code in files.values() for c in re.findall(r"\bTextColumn\(.*", code)]
    assert len(columns) >= 3 and all("markup=False" in call for call in columns)
