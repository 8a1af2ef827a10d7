"""What params do not name is put aside, and is never offered to git."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.workspace.leftovers import put_aside, unnamed_averages, unnamed_items

ROOT = Path(__file__).parents[3]


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Of two lengths and one sampler, in a folder with results of three and of two."""
    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    changes = {"ema.lengths": [0.05, 0.1], "samplers": ["heun18"]}
    monkeypatch.chdir(tmp_path)
    for length in ("0.05", "0.1", "0.2"):
        for sampler in ("heun18", "fast8"):
            write(tmp_path / "outputs" / "evaluate" / f"{length}-{sampler}" / "metrics.json")
        for end in ("safetensors", "json"):
            write(tmp_path / "outputs" / "ema" / f"{length}.{end}")
    write(tmp_path / "outputs" / "ema" / "reconstruct.json")
    write(tmp_path / "outputs" / "evaluate" / ".gitignore")
    return check_params(with_values(raw, changes))


def write(path, text="new"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_params_do_not_name_is_found(params):
    items = {path.name for path in unnamed_items(params)}
    assert items == {"0.05-fast8", "0.1-fast8", "0.2-fast8", "0.2-heun18"}
    assert {path.name for path in unnamed_averages(params)} == {"0.2.safetensors", "0.2.json"}


def test_it_is_put_aside_in_place_of_what_lay_there(params, tmp_path):
    write(tmp_path / "outputs" / "unused" / "0.2-fast8" / "older.txt")
    moved = put_aside(params)
    assert len(moved) == 4 and all((path / "metrics.json").is_file() for path in moved)
    assert not (tmp_path / "outputs" / "unused" / "0.2-fast8" / "older.txt").exists()
    left = {path.name for path in (tmp_path / "outputs" / "evaluate").iterdir()}
    assert left == {"0.05-heun18", "0.1-heun18", ".gitignore"}
    assert put_aside(params) == []


def test_git_sees_no_result_whether_dvc_names_it_or_not(params, tmp_path):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    put_aside(params)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    told = subprocess.run(
        ["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == [".gitignore"]
