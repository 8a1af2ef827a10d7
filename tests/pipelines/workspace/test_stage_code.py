"""Which code decides a stage's result: the rules, against this project's own tree."""

import ast
from pathlib import Path

import pytest

from pipelines.params import load_params
from pipelines.workspace import stage_code
from pipelines.workspace.chosen_kinds import chosen_kinds
from pipelines.workspace.imports import (
    Rules,
    Table,
    dictionaries_of_imports,
    find_module,
    read_source,
)
from pipelines.workspace.stage_code import (
    CARRIERS,
    IN_ROOMS,
    NO_RESULT,
    NOT_OF,
    STAGE_PARAMS,
    TABLES,
    always_files,
    code_hash,
    content_hash,
    stage_files,
    stage_module,
)

ROOT = Path(__file__).resolve().parents[3]
NO_KINDS = {
    ("evaluation.measures", "MEASURES"): "judging calls all of them",
    ("evaluation.metric_rows.curves", "CURVES"): "rows of text",
    ("evaluation.metric_rows.images", "METRICS"): "rows of text",
    ("models.codecs.table", "CODECS"): "every stage that reads weights imports both",
    ("pipelines.workspace.stage_code", "TABLES"): "tells where the tables are",
}
"""Dicts of what may be imported that are no table of kinds, with the reason."""


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
        assert dictionaries_of_imports(table.module)[table.dictionary], table


def test_what_all_kinds_share_counts_always_where_one_is_in_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "pipelines/stage.py": "from pipelines.table import KINDS",
        "pipelines/table.py": "from pipelines.a import A\nfrom pipelines.b import B\n"
        "KINDS = {'a': A, 'b': B}",
        "pipelines/a.py": "import pipelines.shared, pipelines.own",
        "pipelines/own.py": "",
        "pipelines/b.py": "import pipelines.shared",
        "pipelines/shared.py": "",
        "pipelines/__init__.py": "",
    }.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    for one_in_use in (True, False):
        tables = {"kind": Table("pipelines.table", "KINDS", one_in_use)}
        monkeypatch.setattr(stage_code, "TABLES", tables)
        monkeypatch.setattr(stage_code, "RULES", Rules(tables))
        assert (Path("pipelines/shared.py") in always_files("stage")) == one_in_use
        assert not {Path("pipelines/a.py"), Path("pipelines/own.py")} & always_files("stage")
    Path("pipelines/table.py").write_text("from pipelines.a import A\nKINDS = {'a': A}")
    monkeypatch.setattr(stage_code, "TABLES", {"kind": Table("pipelines.table", "KINDS", True)})
    assert Path("pipelines/own.py") in always_files("stage"), "there is no other to choose"


def test_every_dict_of_imported_kinds_is_a_declared_table():
    found = {(module, name) for module in modules() for name in dictionaries_of_imports(module)}
    declared = {(table.module, table.dictionary) for table in TABLES.values()}
    assert found - set(NO_KINDS) == declared, "declare it in stage_code.TABLES, or say here why not"
    for module, name in NO_KINDS:
        path = find_module(module)
        assert path is not None and name in read_source(path, module).dictionaries, module


def test_what_is_left_out_is_there_and_has_a_reason():
    for module, reason in (NO_RESULT | CARRIERS).items():
        assert find_module(module) is not None and reason, module


def test_no_import_hides_from_the_closure():
    hidden = ("importlib", "__import__", "exec", "eval", "runpy", "pkgutil")
    assert not any("sadm/" in str(path) for stage in STAGE_PARAMS for path in always_files(stage))
    for module in set(modules()) - {"sadm"}:  # which hands out names, and is in no stage
        path = find_module(module)
        assert path is not None
        used = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not used & set(hidden), f"{module}: its imports cannot be read from its text"


@pytest.mark.parametrize(
    ("stage", "inside", "outside"),
    [
        (
            "prepare",
            ["dataset.sources.record", "dataset.resize"],
            ["dataset.store", "models.weights", "evaluation.config", "sampling.config"],
        ),
        (
            "reference",
            ["evaluation.classifier", "models.weights", "dataset.store"],
            ["dataset.prepare", "sampling.config", "models.denoiser", "evaluation.judge"],
        ),
        (
            "train",
            [
                "training.loop",
                "training.structure.game",
                "training.run_settings",
                "models.denoiser",
                "models.transfer",
                "sampling.config",
                "dataset.store",
            ],
            [
                "dataset.prepare",
                "evaluation.config",
                "pipelines.ray_jobs.training",
                "pipelines.ray_jobs.session",
                "pipelines.settings.schema",
                "sampling.from_weights",
            ],
        ),
        (
            "reconstruct",
            ["models.ema_reconstruction", "models.power_ema"],
            ["training.loop", "models.denoiser", "dataset.store", "sampling.config"],
        ),
        (
            "evaluate",
            [
                "evaluation.judge",
                "evaluation.pictures",
                "sampling.from_weights",
                "sampling.labels",
                "pipelines.ray_jobs.generation",
                "models.denoiser",
                "pipelines.reporting.stage_outputs",
            ],
            [
                "training.loop",
                "training.config",
                "discriminators.config",
                "models.transfer",
                "dataset.prepare",
                "pipelines.ray_jobs.tasks",
                "pipelines.reporting.figures",
            ],
        ),
        (
            "summarize",
            [
                "pipelines.reporting.figures",
                "pipelines.reporting.html",
                "pipelines.reporting.report_page",
                "pipelines.reporting.stage_outputs",
                "pipelines.settings.dotted_keys",
                "pipelines.tracking.run_names",
                "evaluation.metric_table",
            ],
            ["evaluation.judge", "models.weights", "training.loop", "pipelines.tracking.run_store"],
        ),
    ],
)
def test_a_stage_is_made_of_what_it_imports(stage, inside, outside):
    params = load_params("presets/digits.yaml").model_dump(mode="json")
    found, always = stage_files(stage), always_files(stage)
    chosen = stage_files(stage, chosen_kinds(stage, params))
    assert find_module(stage_module(stage)) in always
    assert always <= chosen <= found
    for module in inside:
        assert find_module(module) in chosen, module
    for module in outside:
        assert find_module(module) not in found, module
    for module in (*NO_RESULT, *CARRIERS):
        assert find_module(module) not in found, module


def test_what_a_stage_imports_in_vain_has_a_reason():
    for stage, left_out in NOT_OF.items():
        of_others = set().union(*(stage_files(s) for s in STAGE_PARAMS if s != stage))
        for module, reason in left_out.items():
            path = find_module(module)
            assert path in of_others and path not in stage_files(stage) and reason, module


def test_each_stage_has_its_module():
    assert all(find_module(stage_module(stage)) for stage in STAGE_PARAMS)
    assert set(IN_ROOMS) < set(STAGE_PARAMS)


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
