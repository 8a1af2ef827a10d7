"""dvc.yaml names the code that stages import."""

import sys
from pathlib import Path

import pytest
import yaml

from pipelines.upkeep import stage_files as command
from pipelines.upkeep.dvc_file import FIRST, LAST, code_of, with_code
from pipelines.workspace.chosen_kinds import NO_CHOICE
from pipelines.workspace.imports import find_module
from pipelines.workspace.kind_lists import has_kinds
from pipelines.workspace.stage_code import (
    STAGE_PARAMS,
    TABLES,
    always_files,
    stage_files,
    stage_module,
)

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "dvc.yaml").read_text()
STAGES = yaml.safe_load(TEXT)["stages"]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_dvc_yaml_is_what_the_command_writes():
    assert with_code(TEXT) == TEXT, "imports have changed: python -m pipelines.upkeep.stage_files"


@pytest.mark.parametrize("stage", STAGE_PARAMS)
def test_every_imported_file_is_a_dep(stage):
    deps = STAGES[stage]["deps"]
    code = {Path(dep) for dep in deps if dep.endswith(".py")}
    assert code == always_files(stage) and find_module(stage_module(stage)) in code
    lists = [dep for dep in deps if dep.startswith("outputs/kinds/")]
    name = "evaluate-${item.sampler}" if stage == "evaluate" else stage
    # What `code` lacks of all that the stage may run is in the list that `kinds` writes.
    may_run = always_files(stage) if stage in NO_CHOICE else stage_files(stage)
    expected = [f"outputs/kinds/{name}.json"] if may_run - code else []
    assert lists == expected and has_kinds(stage) == bool(expected)
    folders = {dep for dep in deps if Path(dep).is_dir() and not dep.startswith("outputs/")}
    assert folders == ({"presets"} if stage == "summarize" else set())


def test_the_stage_kinds_sees_every_kind_and_every_table():
    deps = {Path(dep) for dep in STAGES["kinds"]["deps"]}
    for stage in STAGE_PARAMS:
        assert stage_files(stage) - always_files(stage) <= deps
    for module in [table.module for table in TABLES.values()]:
        assert find_module(module) in deps
    for name in ("workspace/chosen_kinds", "workspace/stage_code", "workspace/imports", "kinds"):
        assert Path(f"pipelines/{name}.py") in deps
    # defaults of what params.yaml may leave out
    assert {Path("sampling/config.py"), Path("dataset/config.py")} <= deps


def test_old_code_gives_way_and_the_rest_stays():
    stale = TEXT.replace(f"{LAST}\n", f"      - gone/away.py\n{LAST}\n")
    stale = stale.replace("      - training/loop.py\n", "")
    assert stale != TEXT and with_code(stale) == TEXT


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (TEXT.replace(f"{FIRST}\n", "", 1), "kinds: deps need the lines"),
        (TEXT.replace(f"{LAST}\n", ""), "a second"),
        (TEXT[: TEXT.rindex(LAST)], "summarize: deps need the lines"),
    ],
)
def test_missing_comments_are_told(broken, told):
    with pytest.raises(ValueError, match=rf"dvc\.yaml: .*{told}"):
        with_code(broken)


def test_the_command_writes_and_checks(workspace, monkeypatch, capsys):
    monkeypatch.chdir(workspace)
    (workspace / "training" / "new.py").write_text("")
    (workspace / "training" / "loop.py").open("a").write("\nimport training.new\n")
    monkeypatch.setattr(sys, "argv", ["stage_files", "--check"])
    with pytest.raises(ValueError, match=r"python -m pipelines\.upkeep\.stage_files"):
        command.main()
    monkeypatch.setattr(sys, "argv", ["stage_files"])
    command.main()
    assert "written anew" in capsys.readouterr().out
    assert "      - training/new.py\n" in Path("dvc.yaml").read_text()
    monkeypatch.setattr(sys, "argv", ["stage_files", "--check"])
    command.main()
    assert "up to date" in capsys.readouterr().out
    assert "training/new.py" in code_of("train")
