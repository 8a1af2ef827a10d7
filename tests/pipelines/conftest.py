"""A copy of the project's code, in which tests may edit files."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "dataset",
    "discriminators",
    "evaluation",
    "foundation",
    "models",
    "pipelines",
    "sampling",
    "training",
)


@pytest.fixture
def copy_code():
    """copy_code(target, source=ROOT) copies the packages that stages import, and dvc.yaml."""

    def copy(target: Path, source: Path = ROOT) -> None:
        no_cache = shutil.ignore_patterns("__pycache__")
        for name in PACKAGES:
            shutil.copytree(source / name, target / name, ignore=no_cache)
        shutil.copy(source / "dvc.yaml", target)

    return copy


@pytest.fixture
def workspace(tmp_path, monkeypatch, copy_code):
    """The copy's folder, which is the current one."""
    copy_code(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
