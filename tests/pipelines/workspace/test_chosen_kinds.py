"""Which kinds params choose, and how they are listed for DVC."""

import json
import sys
from pathlib import Path

import pytest

from pipelines import kinds
from pipelines.params import check_params, load_params
from pipelines.settings.dotted_keys import with_values
from pipelines.workspace.chosen_kinds import GAME_SAMPLER, METHOD, chosen_kinds, judging_kinds
from pipelines.workspace.imports import dictionaries_of_imports
from pipelines.workspace.kind_lists import KIND_PARAMS, kind_lists
from pipelines.workspace.stage_code import STAGE_PARAMS, TABLES, content_hash
from training.config import TrainConfig
from training.structure.fake_levels import DEFAULT_SAMPLER

ROOT = Path(__file__).resolve().parents[3]
ALWAYS = {
    *("prepare", "autoencoder", "encode", "reference", "train", "attributes", "distil"),
    "evaluate_students",
}
"""Lists whose stage has no matrix."""
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def plain(**values):
    raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
    return with_values(raw, {key.replace("__", "."): value for key, value in values.items()})


def test_the_source_of_prepare():
    assert chosen_kinds("prepare", plain(dataset__source="torchvision")) == {
        "source": {"torchvision"}
    }


def test_the_game_chooses_its_form_and_where_it_follows_a_path_a_sampler():
    few = {"solver": "unipc", "grid": "optimized"}
    for fakes, sampler, solver, grid in (
        ("onestep", None, set(), set()),
        ("renoise", few, set(), set()),
        ("onpolicy", None, {"ddim"}, {"karras"}),
        ("deployed", few, {"unipc"}, {"optimized"}),
    ):
        found = chosen_kinds("train", plain(structure__fakes=fakes, structure__sampler=sampler))
        assert (found["solver"], found["grid"]) == (solver, grid), fakes
        assert found["form"] == {"graph"} and found["extractor"] == set()
    found = chosen_kinds("train", plain(structure__features="efficientnet_lite0"))
    assert found["extractor"] == {"efficientnet_lite0"}
    control = plain(
        structure__kind="none",
        structure__fakes="deployed",
        structure__features="efficientnet_lite0",
    )
    found = chosen_kinds("train", control)
    chosen = {table for table, names in found.items() if names}
    assert chosen == {"method", "backbone", "block", "schedule"}
    assert found["backbone"] == {"unet"}
    assert found["method"] == {"denoising"}
    assert found["block"] == {"graph_conv", "self_attention"}
    plain_network = plain(model__structural_blocks=[])
    for stage in ("train", "evaluate"):
        assert chosen_kinds(stage, plain_network)["block"] == set()


def test_training_depends_on_its_schedule_of_noise_and_on_the_sampler_that_it_is_made_of():
    for noise, expected in (
        ({"schedule": "adaptive"}, ({"adaptive"}, set(), set())),
        (
            {"schedule": "sampler", "sampler": {"solver": "unipc", "grid": "log_snr"}},
            ({"sampler"}, {"unipc"}, {"log_snr"}),
        ),
        ({"schedule": "speed", "sampler": None}, ({"speed"}, set(), set())),
    ):
        found = chosen_kinds("train", plain(noise=noise, structure__kind="none"))
        assert (found["schedule"], found["solver"], found["grid"]) == expected
        assert chosen_kinds("distil", plain(noise=noise))["schedule"] == set()
    both = plain(
        noise={"schedule": "sampler", "sampler": {"solver": "unipc", "grid": "log_snr"}},
        structure__fakes="onpolicy",
    )
    assert chosen_kinds("train", both)["solver"] == {"unipc", "ddim"}


def test_the_game_has_the_sampler_that_is_said_here():
    assert {"solver": DEFAULT_SAMPLER.solver, "grid": DEFAULT_SAMPLER.grid} == GAME_SAMPLER
    assert not DEFAULT_SAMPLER.guidance
    assert TrainConfig().method == METHOD


def test_an_item_of_evaluate_has_its_own_sampler():
    guided = {"solver": "ddim", "grid": "arctan", "guidance": [{"kind": "classifier_free"}]}
    raw = plain(samplers=["heun18", "g"])
    raw["sampling"]["g"] = guided
    for sampler, solver, guidance in (
        ("g", {"ddim"}, {"classifier_free"}),
        ("fast8", {"unipc"}, set()),
        (None, {"heun", "ddim"}, {"classifier_free"}),
    ):
        found = chosen_kinds("evaluate", raw, sampler)
        assert (found["solver"], found["guidance"]) == (solver, guidance)
        assert judging_kinds(raw, "g")["solver"] == {"ddim"}
    for stage in ("reference", "evaluate"):
        for extractor, networks in (
            ("auto", {"classifier", "efficientnet_lite0"}),
            ("inception", {"classifier", "inception"}),
        ):
            asked = plain(evaluation__extractor=extractor)
            assert chosen_kinds(stage, asked)["extractor"] == networks


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_only_names_that_the_tables_have_are_chosen(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    params = load_params(path).model_dump(mode="json")
    for stage in STAGE_PARAMS:
        for key, names in chosen_kinds(stage, params).items():
            if key in TABLES:
                table = TABLES[key]
                imported = dictionaries_of_imports(table.module)[table.dictionary]
                left = set(names) - imported
                assert not left or key == "grid", f"{stage}: {table} has no {left}"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_lists_need_no_defaults_where_the_file_says_all(path, monkeypatch):
    """The quick way, without torch, gives what checked params give."""
    monkeypatch.chdir(ROOT)
    checked = kind_lists(load_params(path).model_dump(mode="json"))
    monkeypatch.setattr("pipelines.params.load_params", lambda _: pytest.fail("the slow way"))
    assert kinds.lists_of(str(path)) == checked


def test_lists_know_what_the_file_leaves_out(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    left_out = (
        "dataset.source",
        "structure.fakes",
        "structure",
        "sampling.heun18.grid",
        "evaluation",
        "structure.features",
    )
    for key in left_out:
        raw = plain()
        section = raw
        for part in key.split(".")[:-1]:
            section = section[part]
        del section[key.split(".")[-1]]
        (tmp_path / "params.yaml").write_text(json.dumps(raw))
        checked = kind_lists(check_params(raw).model_dump(mode="json"))
        assert kinds.lists_of(str(tmp_path / "params.yaml")) == checked, key


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"structure": 3}, "structure: 3"),
        ({"samplers": ["other"]}, "'other' is not a name under sampling"),
        ({"sampling": {"heun18": None}}, "sampling.heun18"),
    ],
)
def test_params_that_cannot_be_used_are_told_as_ever(tmp_path, monkeypatch, values, told):
    monkeypatch.chdir(ROOT)
    (tmp_path / "params.yaml").write_text(json.dumps(plain() | values))
    with pytest.raises(ValueError, match=told):
        kinds.lists_of(str(tmp_path / "params.yaml"))


def test_an_edit_changes_the_lists_of_those_that_use_the_file(workspace):
    params = plain(samplers=["heun18", "fast8"])
    before = kind_lists(params)
    items = {"evaluate-heun18", "evaluate-fast8"}
    assert set(before) == {*ALWAYS, *items}
    files = before["evaluate-heun18"]["files"]
    assert files["sampling/solvers/heun.py"] == content_hash(Path("sampling/solvers/heun.py"))
    assert not files.keys() & before["train"]["files"].keys() - {
        "models/backbones/unet.py",
        "models/layers/convolutions.py",
        "models/layers/graph_conv.py",
        "models/neighbours.py",
    }
    assert not any("models/backbones/transformer.py" in lists["files"] for lists in before.values())
    for file, touched in (
        ("sampling/solvers/heun.py", {"evaluate-heun18"}),
        ("sampling/solvers/consistency.py", set()),
        ("sampling/grids/error_bound.py", {"evaluate-fast8"}),
        ("discriminators/knn_graph.py", {"train"}),
        ("dataset/sources/huggingface.py", set()),
        ("training/loop.py", set()),  # dvc.yaml names it
    ):
        before = kind_lists(params)
        (workspace / file).open("a").write("# a remark\n")
        after = kind_lists(params)
        assert {name for name in after if after[name] != before[name]} == touched, file


def test_lists_read_no_params_but_those_that_dvc_compares():
    """Else a change of the others would leave old lists."""
    read = set()

    class Recording(dict):
        def __getitem__(self, key):
            read.add(key)
            return super().__getitem__(key)

        def get(self, key, default=None):
            read.add(key)
            return super().get(key, default)

    kind_lists(Recording(plain()))
    assert read <= {key.split(".")[0] for key in KIND_PARAMS}
    assert {"noise", "structure", "sampling"} <= read


def test_the_written_lists_hold_no_more_than_is_asked_for(workspace, monkeypatch):
    Path("params.yaml").write_text(json.dumps(plain()))
    monkeypatch.setattr(sys, "argv", ["kinds"])
    kinds.main()
    names = {path.name for path in Path("outputs/kinds").iterdir()}
    assert names == {f"{name}.json" for name in (*ALWAYS, "evaluate-heun18")}
    text = Path("outputs/kinds/train.json").read_bytes()
    Path("params.yaml").write_text(json.dumps(plain(samplers=["fast8"], seed=3)))
    kinds.main()
    names = {path.name for path in Path("outputs/kinds").iterdir()}
    assert names == {f"{name}.json" for name in (*ALWAYS, "evaluate-fast8")}
    assert Path("outputs/kinds/train.json").read_bytes() == text
