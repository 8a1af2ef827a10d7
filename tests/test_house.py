"""The house: rooms that are not halls, files that can be read at one go."""

import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python_files() -> list[Path]:
    """Python files that git knows, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in listed.stdout.split() if (ROOT / name).exists()]


def code() -> list[Path]:
    return [path for path in python_files() if path.parts[0] != "tests"]


def test_no_folder_has_more_than_20_modules():
    modules = Counter(path.parent for path in code() if path.name != "__init__.py")
    assert len(modules) > 20  # the rooms were found
    assert not {str(folder): n for folder, n in modules.items() if n > 20}


def test_no_file_has_more_than_300_lines():
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in python_files()}
    assert not {name: n for name, n in lengths.items() if n > 300}


def test_the_formatter_is_overruled_for_a_few_tables_only():
    marks = sum((ROOT / path).read_text().count("# fmt: skip") for path in python_files())
    assert marks <= 30


def test_tests_mirror_the_tree():
    """A folder of tests has the name of a folder of code, or of what it tests as a whole."""
    folders = {path.parent for path in code()}
    for path in python_files():
        if path.parts[0] == "tests" and len(path.parts) > 2:
            mirrored = Path(*path.parts[1:-1])
            assert mirrored in folders or mirrored == Path("docs"), path


def test_mlflow_is_imported_by_one_file():
    importing = [
        str(path)
        for path in code()
        if re.search(r"^\s*(import|from) mlflow\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert importing == ["pipelines/tracking/connection.py"]
