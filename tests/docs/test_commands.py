"""Options of each `python -m ...` in the documents are options that the command knows."""

import contextlib
import io
import re
import runpy
import shlex
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("pipelines", "studies", "benchmarks", "evaluation")
COMMAND = re.compile(rf"python -m ((?:{'|'.join(PACKAGES)})(?:\.[a-z_]+)+)\b(?!\.\.)([^`|>&;)]*)")


def commands() -> dict[tuple[str, tuple[str, ...]], str]:
    """{(module, its options): the document}; a line that ends in a backslash goes on."""
    found = {}
    for document in DOCUMENTS:
        text = document.read_text().replace("\\\n", " ")
        text = re.sub(r"\n(?=--)", " ", text)  # a command in prose that wraps before an option
        for module, rest in COMMAND.findall(text):
            line = rest.partition("\n")[0].partition(" #")[0]
            try:
                words = shlex.split(line)
            except ValueError:  # an apostrophe of the sentence round it
                words = line.split()
            options = tuple(word.partition("=")[0] for word in words if word.startswith("-"))
            if options:
                found.setdefault((module, options), document.name)
    return found


@cache
def help_of(module: str) -> str:
    """What `python -m module --help` prints."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        pytest.raises(SystemExit) as left,
    ):
        patch.setattr("sys.argv", [module, "--help"])
        patch.syspath_prepend(ROOT)
        runpy.run_module(module, run_name="__main__")
    assert left.value.code in (None, 0), module
    return printed.getvalue()


@pytest.mark.parametrize(("module", "options"), sorted(commands()))
def test_documented_options_exist(module, options):
    known = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", help_of(module)))
    assert set(options) <= known, (
        f"{commands()[module, options]}: {module} has no {set(options) - known}"
    )


def test_the_documents_name_the_main_commands():
    named = {module for module, _ in commands()}
    assert {"pipelines.sample", "pipelines.sweep", "studies.structure", "benchmarks.step"} <= named
