"""Which code decides a stage's result: the rules, against this project's own tree."""

import ast
from pathlib import Path

import pytest

from pipelines.workspace.imports import dictionaries_of_imports, find_module
from pipelines.workspace.stage_code import (
    CARRIERS,
    NO_RESULT,
    STAGE_PARAMS,
    TABLES,
    always_files,
    code_hash,
    content_hash,
    stage_files,
)

ROOT = Path(__file__).resolve().parents[3]
NO_KINDS = {
    ("pipelines.workspace.stage_code", "TABLES"): "tells where the tables are",
    ("models.layers.bottleneck_blocks", "BLOCKS"): "weights from elsewhere may hold any block",
}
"""Dicts of imported values that are no table of kinds, with the reason."""


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def modules():
    """Every module of the project's packages, without tests."""
    for start in ROOT.glob("*/__init__.py"):
        for path in start.parent.rglob("*.py"):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_table_is_there():
    for table in TABLES.values():
        assert len(dictionaries_of_imports(table.module)[table.dictionary]) >= 2, table


def test_every_dict_of_imported_kinds_is_a_declared_table():
    found = {(module, name) for module in modules() for name in dictionaries_of_imports(module)}
    declared = {(table.module, table.dictionary) for table in TABLES.values()}
    assert found == declared | set(NO_KINDS), "declare it in stage_code.TABLES, or say here why not"


def test_what_is_left_out_is_there_and_has_a_reason():
    for module, reason in (NO_RESULT | CARRIERS).items():
        assert find_module(module) is not None and reason, module


def test_no_import_hides_from_the_closure():
    hidden = ("importlib", "__import__", "exec", "eval", "runpy", "pkgutil")
    for module in modules():
        path = find_module(module)
        assert path is not None
        used = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not used & set(hidden), f"{module}: its imports cannot be read from its text"


@pytest.mark.parametrize(
    ("stage", "inside", "outside"),
    [
        ("prepare", ["dataset.sources.record", "dataset.resize"],
         ["dataset.store", "models.weights", "evaluation.config", "sampling.config"]),
        ("reference", ["evaluation.classifier", "models.weights", "dataset.store"],
         ["dataset.prepare", "sampling.config", "models.denoiser", "evaluation.judge"]),
        ("train", ["training.loop", "training.structure.game", "training.run_settings",
                   "models.denoiser", "models.transfer", "sampling.config", "dataset.store"],
         ["dataset.prepare", "evaluation.config", "pipelines.ray_jobs.training",
          "pipelines.ray_jobs.session", "pipelines.settings.schema", "sampling.from_weights"]),
        ("reconstruct", ["models.ema_reconstruction", "models.power_ema"],
         ["training.loop", "models.denoiser", "dataset.store", "sampling.config"]),
        ("evaluate", ["evaluation.judge", "evaluation.pictures", "sampling.from_weights",
                      "sampling.labels", "pipelines.ray_jobs.generation", "models.denoiser",
                      "pipelines.reporting.stage_outputs"],
         ["training.loop", "training.config", "discriminators.config", "models.transfer",
          "dataset.prepare", "pipelines.ray_jobs.tasks", "pipelines.reporting.figures"]),
        ("summarize", ["pipelines.reporting.figures", "pipelines.reporting.html",
                       "pipelines.reporting.report_page", "pipelines.reporting.stage_outputs",
                       "pipelines.settings.dotted_keys", "pipelines.tracking.run_names",
                       "evaluation.metric_table"],
         ["evaluation.judge", "models.weights", "training.loop", "pipelines.tracking.store"]),
    ],
)  # fmt: skip
def test_a_stage_is_made_of_what_it_imports(stage, inside, outside):
    found, always = stage_files(stage), always_files(stage)
    entry = Path("pipelines") / f"{stage}.py"
    assert entry in always and always <= found
    for module in inside:
        assert find_module(module) in always, module
    for module in outside:
        assert find_module(module) not in found, module
    for module in (*NO_RESULT, *CARRIERS):
        assert find_module(module) not in found, module


def test_each_stage_has_its_module():
    assert all(find_module(f"pipelines.{stage}") for stage in STAGE_PARAMS)


def test_code_hash_knows_names_and_contents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = Path("one.py"), Path("two.py")
    one.write_text("x = 1")
    two.write_text("x = 1")
    before = code_hash({one})
    assert code_hash({one}) == before != code_hash({two})
    assert content_hash(one) == content_hash(two)
    one.write_text("x = 2")
    assert code_hash({one}) != before
