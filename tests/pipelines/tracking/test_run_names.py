"""What runs are called, and what is noted of params and code."""

import subprocess
from pathlib import Path

from pipelines.settings.dotted_keys import flatten, select
from pipelines.tracking.provenance import git_tags
from pipelines.tracking.run_names import (
    LONGEST_NAME,
    change_note,
    child_name,
    closest_preset,
    differences,
    load_presets,
    parent_name,
)
from training.students import RegressionConfig


def test_params_are_flattened_and_selected():
    flat = flatten({"a": {"b": 1, "c": {"d": None}}, "l": [1, 2], "e": {}, "ab": 2})
    assert flat == {"a.b": 1, "a.c.d": None, "l": "[1, 2]", "e": "{}", "ab": 2}
    assert select(flat, ["a.c", "l"]) == {"a.c.d": None, "l": "[1, 2]"}
    assert set(select(flat, ["a"])) == {"a.b", "a.c.d"}


def test_names_read_by_themselves():
    flat = {"dataset.source": "digits", "structure.kind": "graph", "seed": 1, "train.lr": 0.02}
    presets = {
        "digits": {**flat, "seed": 0, "train.lr": 0.01},
        "other": {**flat, "dataset.source": "x", "train.lr": 3, "seed": 9},
    }
    name, changed = closest_preset(flat, presets)
    assert name == "digits"
    assert parent_name(flat, "3f2a99", changed) == "digits graph s1 lr=0.02 3f2a"
    folder = {"dataset.source": "image_folder", "dataset.path": "/data/birds.zip"}
    assert parent_name(folder, "3f2a99") == "birds none s0 3f2a"


def test_what_matters_most_comes_first_and_names_stay_short():
    flat = {"dataset.source": "digits", "structure.kind": "per_sample", "structure.lr": 0.1}
    flat |= {"train.lr": 0.02, "train.total_kimg": 16.0, "ema.lengths": "[0.05]", "model.x": "y"}
    old = {**flat, "train.total_kimg": 120.0, "ema.lengths": "[0.05, 0.1]", "structure.lr": 0.2}
    changed = differences(old, flat)
    assert list(changed) == ["train.total_kimg", "structure.lr", "ema.lengths"]
    name = parent_name(flat, "3f2a99", changed)
    assert name == "digits per_sample s0 16kimg +2 3f2a" and len(name) <= LONGEST_NAME
    # The discriminator's lr is told from the training's, and a control has no settings of a game.
    few = {"structure.lr": ("0.2", "0.1"), "train.lr": ("0.01", "0.02")}
    graph = flat | {"structure.kind": "graph"}
    assert parent_name(graph, "3f2a99", {"structure.lr": few["structure.lr"]}) == (
        "digits graph s0 structure.lr=0.1 3f2a"
    )
    control = flat | {"structure.kind": "none"}
    assert parent_name(control, "3f2a99", few) == "digits none s0 lr=0.02 3f2a"


def test_a_stages_run_names_length_and_sampler():
    assert child_name("train") == "train"
    assert child_name("evaluate", "0.05-heun18") == "evaluate 0.05 heun18"
    assert child_name("evaluate", "1e-05-heun18") == "evaluate 1e-05 heun18"


def test_presets_of_the_project_are_known(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])
    presets = load_presets()
    assert "train.batch_size" in presets["digits"]


def test_users_names_are_no_markdown_in_descriptions():
    note = change_note({"dataset.path": ("a|b", "__init__")}, "my_*run*")
    assert "| `dataset.path` | a\\|b | \\_\\_init\\_\\_ |" in note and r"*my\_\*run\**" in note


def test_git_facts(tmp_path):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    assert git_tags(tmp_path) == {}
    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "dvc.lock").write_text("results are no change of code")
    (tmp_path / "picture.png").write_text("nor are stray files")
    clean = git_tags(tmp_path)
    assert clean["git.dirty"] == "false" and len(clean["git.commit"]) == 40
    (tmp_path / "code.py").write_text("2")
    dirty = git_tags(tmp_path)
    assert dirty["git.dirty"] == "true" and dirty["git.changed"] == "code.py"


def test_a_student_is_named_and_told_without_its_defaults():
    base = {"dataset.source": "digits", "structure.kind": "none", "distil": "[]"}
    quick = RegressionConfig(samplers=("one",), lr=0.02)
    told = {f"students.quick.{k}": v for k, v in flatten(quick.model_dump(mode="json")).items()}
    flat = base | told | {"distil": '["quick"]'}
    changed = differences(base, flat)
    assert list(changed) == [
        *("distil", "students.quick.kind", "students.quick.lr", "students.quick.samplers")
    ]
    assert parent_name(flat, "3f2a99", changed) == "digits none s0 distil=quick +3 3f2a"
    assert {k: v[::-1] for k, v in differences(flat, base).items()} == changed
    # Of a student that both have, every setting that differs is told.
    slower = flat | {"students.quick.lr": 0.001}  # the default
    assert differences(flat, slower) == {"students.quick.lr": ("0.02", "0.001")}
    assert child_name("distil", "quick") == "distil quick"
    assert child_name("evaluate_students", "quick-1e-05-one") == "evaluate_students quick 1e-05 one"
