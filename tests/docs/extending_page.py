"""docs/extending.md taken apart: its files, entries and values, put in place for a test."""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
import yaml

from evaluation import metric_table
from evaluation.metric_rows import images
from pipelines.params import check_params

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = {
    "A solver",
    "A time grid",
    "A guidance",
    "A discriminator of structure",
    "A method of training",
    "A structural block",
    "A metric",
    "A source of images",
}
NO_LABELS = torch.full((64,), -1)


class Entry(NamedTuple):
    """A diff of the page: the file of a table, lines before the table, its head, lines inside."""

    path: str
    before: str
    head: str
    inside: str

    @property
    def table(self) -> str:
        return self.head.partition(":")[0]


class Section(NamedTuple):
    """What one section of the page adds."""

    path: str
    code: str
    entries: list[Entry]
    values: dict
    commands: str


def read_entry(diff: str) -> Entry:
    first, *lines = diff.splitlines()
    head = next(line[1:] for line in lines if not line.startswith("+"))
    place = lines.index(f" {head}")
    assert all(line.startswith("+") for line in lines[:place] + lines[place + 1 :]), diff
    before, inside = ("\n".join(x[1:] for x in p) for p in (lines[:place], lines[place + 1 :]))
    return Entry(first.removeprefix("--- "), before, head, inside)


def sections(page: str) -> dict[str, Section]:
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        blocks: dict[str, list[str]] = {}
        for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            blocks.setdefault(kind, []).append(text)
        (code,), (values,), (commands,) = (blocks[kind] for kind in ("python", "yaml", "bash"))
        entries = [read_entry(text) for text in blocks["diff"]]
        path = code.partition("\n")[0].removeprefix("# ")
        title = part.partition("\n")[0]
        found[title] = Section(path, code, entries, yaml.safe_load(values), commands)
    return found


FOUND = sections(PAGE)


def load(section: Section, folder: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """The section's file as a module under its own name, though it lies in `folder`."""
    file = folder / section.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(section.code)
    name = section.path.removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def register(entry: Entry, patch: pytest.MonkeyPatch) -> None:
    """What the entry's lines do to the module of the table, which they leave as they found it."""
    module = importlib.import_module(entry.path.removesuffix(".py").replace("/", "."))
    scope = dict(vars(module))
    exec(entry.before, scope)
    for name, value in eval(f"{{{entry.inside}}}", scope).items():
        patch.setitem(getattr(module, entry.table), name, value)
        if module is images:  # of whose METRICS the TABLE of metric_table is made at import
            patch.setitem(metric_table.TABLE, name, value)


@pytest.fixture(scope="module", autouse=True)
def extended(tmp_path_factory):
    """Everything on the page is in place; the modules by section."""
    folder = tmp_path_factory.mktemp("extended")
    with pytest.MonkeyPatch.context() as patch:
        modules = {title: load(section, folder, patch) for title, section in FOUND.items()}
        for section in FOUND.values():
            for entry in section.entries:
                register(entry, patch)
        yield modules


def merged(base: dict, changes: dict) -> dict:
    return base | {
        key: merged(base[key], value) if isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }


def params(title: str, **changes):
    """The digits preset with the section's values, checked as params.yaml is."""
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    return check_params(merged(merged(raw, FOUND[title].values), changes))


def the_sampler(title: str):
    found = params(title)
    (name,) = found.samplers
    return found.sampling[name]
