"""Files, folders and modules that the documents name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The log tells of code as it was; extending.md names files that its reader makes.
OTHER = {"experiment_log.md", "extending.md"}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [path for path in DOCUMENTS if path.name not in OTHER]


def named_files(text: str) -> set[str]:
    """Paths such as training/loop.py in a text."""
    return set(re.findall(r"(?<![\w./-])((?:[\w-]+/)+[\w-]+\.py)\b", text))


def named_modules(text: str) -> set[str]:
    """Modules of commands such as python -m pipelines.train in a text."""
    return set(re.findall(r"python -m ([a-z_]+(?:\.[a-z_]+)+)\b(?!\.?[A-Z])", text))


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_names_are_found_in_a_text():
    text = "see `a/b_c.py`, (d/e/f.py), g.py and http://x.org/y/z.py; python -m p.q --r; -m p.NAME"
    assert named_files(text) == {"a/b_c.py", "d/e/f.py"}
    assert named_modules(text + " python -m p.NAME, python -m p...") == {"p.q"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_that_a_document_names_exist(path):
    text = path.read_text(encoding="utf-8")
    assert not [name for name in sorted(named_files(text)) if not (ROOT / name).is_file()]
    assert not [name for name in sorted(named_modules(text)) if not is_module(name)]


def test_documents_name_many_files_and_modules():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    assert len(set().union(*map(named_files, texts))) > 20
    assert len(set().union(*map(named_modules, texts))) > 10


def test_rooms_of_architecture_hold_what_their_paragraphs_name():
    """A paragraph that begins **room/** names files and folders of that room."""
    paragraphs = re.split(r"\n(?=\*\*\w+/\*\*)|\n#", (ROOT / "docs/architecture.md").read_text())
    seen = 0
    for paragraph in paragraphs:
        if match := re.match(r"\*\*(\w+)/\*\*", paragraph):
            names = re.findall(r"`(\w+\.py|\w+/)`", paragraph)
            room = ROOT / match[1]
            missing = [name for name in names if not any(room.rglob(name.rstrip("/")))]
            assert not missing, f"{match[1]}/: {missing}"
            seen += len(names)
    assert seen > 20


def test_architecture_names_every_room():
    text = (ROOT / "docs/architecture.md").read_text()
    for package in ROOT.glob("*/__init__.py"):
        assert f"**{package.parent.name}/**" in text, package.parent.name
        for room in package.parent.glob("*/__init__.py"):
            name = f"`{room.parent.name}/`"
            assert name in text or f"{package.parent.name}/{room.parent.name}/" in text, name
