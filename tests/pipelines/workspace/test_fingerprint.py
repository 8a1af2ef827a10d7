"""What a result depends on: fingerprints, and dvc.yaml against what the stages really read."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from pipelines.params import check_params, load_params
from pipelines.settings.schema import Params
from pipelines.workspace.fingerprint import (
    OF_STUDENTS,
    Identity,
    item_fingerprint,
    outcome,
    pipeline_tag,
    stage_identity,
)
from pipelines.workspace.imports import find_module
from pipelines.workspace.kind_lists import KIND_PARAMS
from pipelines.workspace.paths import dvc_root
from pipelines.workspace.stage_code import STAGE_PARAMS, code_hash, stage_module
from pipelines.workspace.weights_files import with_guiding_files

ROOT = Path(__file__).resolve().parents[3]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def changed(**sections):
    raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
    for section, changes in sections.items():
        raw[section] = {**raw[section], **changes} if isinstance(changes, dict) else changes
    return check_params(raw)


def test_each_stage_changes_with_its_params_only(workspace):
    base = changed()
    before = {stage: stage_identity(stage, base).fingerprint for stage in STAGE_PARAMS}
    judging = {"evaluate", "evaluate_students"}
    for params, touched in (
        (
            changed(seed=1),
            {"autoencoder", "train", "attributes", "evaluate", *OF_STUDENTS, "summarize"},
        ),
        (changed(cluster={"num_workers": 0}), set()),
        (changed(tracking={"experiment": "x"}), set()),
        (changed(evaluation={"num_images": 65}), {*judging, "summarize"}),
        (changed(evaluation={"extractor": "classifier"}), {"reference", *judging, "summarize"}),
        (changed(ema={"lengths": [0.1]}), {"reconstruct", "attributes", "summarize"}),
        (changed(ema={"snapshots": 8}), {"train", "summarize"}),
        (changed(structure={"kind": "none"}), {"train", "summarize"}),
        (changed(dataset={"resolution": 16}), {"prepare", "summarize"}),
    ):
        after = {stage: stage_identity(stage, params).fingerprint for stage in STAGE_PARAMS}
        assert {s for s in after if after[s] != before[s]} == touched


def test_code_and_init_weights_count(workspace):
    params = changed()
    before = stage_identity("train", params)
    (workspace / "training" / "loop.py").open("a").write("# a remark\n")
    after = stage_identity("train", params)
    assert (before.params, before.inputs) == (after.params, after.inputs)
    assert before.code != after.code and before.fingerprint != after.fingerprint
    (workspace / "start.safetensors").write_bytes(b"1")
    one = stage_identity("train", changed(train={"init_from": "start.safetensors"}))
    (workspace / "start.safetensors").write_bytes(b"2")
    two = stage_identity("train", changed(train={"init_from": "start.safetensors"}))
    assert one.params == two.params and one.inputs != two.inputs
    with pytest.raises(ValueError, match=r"train\.init_from: nowhere"):
        stage_identity("train", changed(train={"init_from": "nowhere"}))


def test_presets_count_for_the_report_which_names_the_closest(workspace):
    params = changed()
    before = fingerprints(params)
    (workspace / "presets").mkdir()
    (workspace / "presets" / "mine.yaml").write_text("seed: 1\n")
    one = fingerprints(params)
    (workspace / "presets" / "mine.yaml").write_text("seed: 2\n")
    two = fingerprints(params)
    assert {stage for stage in before if before[stage] != one[stage]} == {"summarize"}
    assert {stage for stage in before if two[stage] != one[stage]} == {"summarize"}
    assert "presets" in STAGES["summarize"]["deps"]


def edited(workspace, name):
    (workspace / name).open("a").write("# a remark\n")


def fingerprints(params):
    found = {stage: stage_identity(stage, params).fingerprint for stage in STAGE_PARAMS}
    return found | {f"item {name}": item_fingerprint(params, 0.1, name) for name in params.sampling}


def test_an_edit_changes_what_uses_the_file_and_no_more(workspace):
    params = changed()
    assert set(params.sampling) == {"heun18", "fast8"} and params.samplers == ("heun18",)
    items = {"item heun18", "item fast8"}
    states = [(fingerprints(params), pipeline_tag(params), outcome(params))]
    for file, touched in {
        "dataset/sources/huggingface.py": set(),
        "sampling/solvers/dpmpp_2m.py": set(),
        "sampling/guidance/autoguidance.py": set(),
        "models/extractors/imagenet.py": {"reference", "evaluate", *items},  # extractor: auto
        "discriminators/affinity.py": set(),
        "pipelines/console/progress.py": set(),
        "pipelines/ray_jobs/training.py": set(),
        "foundation/did_you_mean.py": set(),
        "dataset/sources/digits.py": {"prepare"},
        "discriminators/graph.py": {"train"},
        "sampling/solvers/heun.py": {"evaluate", "item heun18"},
        "sampling/solvers/unipc.py": {"item fast8"},
        "sampling/grids/optimized.py": {"item fast8"},
        "sampling/grids/table.py": {"train", "evaluate", *items},
        "training/loop.py": {"train"},
        "training/methods/denoising.py": {"train"},
        "models/layers/graph_conv.py": {"train", "attributes", "evaluate", *items},
        "models/ema_reconstruction.py": {"train", "reconstruct"},
        "evaluation/kid.py": {"evaluate", *items},
        "pipelines/reporting/html.py": {"summarize"},
    }.items():
        edited(workspace, file)
        states.append((fingerprints(params), pipeline_tag(params), outcome(params)))
        (before, tag, result), (after, new_tag, new_result) = states[-2:]
        changes = {name for name in after if after[name] != before[name]}
        assert changes - set(OF_STUDENTS) == touched, file  # test_fingerprint_of_students.py
        of_the_pipeline = touched - {"item fast8"}  # an item that `samplers` does not name
        assert (new_tag != tag) == bool(of_the_pipeline), file
        assert (new_result != result) == bool(of_the_pipeline - {"prepare", "train"}), file


def test_params_choose_the_kinds_whose_code_counts(workspace):
    game = {
        "fakes": "deployed",
        "sampler": {"solver": "unipc", "grid": "optimized"},
    }
    played, affinity = changed(structure=game), changed(structure={"kind": "affinity"})
    faces = changed(dataset={"source": "huggingface", "name": "someone/faces"})

    def now():
        return [
            stage_identity(*of).code
            for of in (("train", played), ("train", affinity), ("prepare", faces))
        ]

    for file, touched in (
        ("sampling/solvers/unipc.py", [True, False, False]),
        ("sampling/grids/error_bound.py", [True, False, False]),
        ("sampling/solvers/ddim.py", [False, False, False]),
        ("discriminators/affinity.py", [False, True, False]),
        ("dataset/sources/huggingface.py", [False, False, True]),
    ):
        before = now()
        edited(workspace, file)
        assert [a != b for a, b in zip(before, now(), strict=True)] == touched, file


def test_an_evaluate_item_is_known_by_its_weights_not_by_its_training(workspace):
    def write(name, text):
        path = workspace / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    params = changed()
    names = [item_fingerprint(params, 0.1, "heun18")]
    for name, text in (
        ("train/train.json", "{}"),  # passed over
        ("ema/0.1.safetensors", "1"),
        ("ema/0.1.safetensors", "2"),
        ("ema/0.1.json", "{}"),
        ("ema/0.05.safetensors", "1"),  # another item's
        ("reference/reference.json", "{}"),
    ):
        write(name, text)
        names.append(item_fingerprint(params, 0.1, "heun18"))
    same = [a == b for a, b in pairwise(names)]
    assert same == [True, False, False, False, True, False]
    assert names[-1].endswith("-0.1-heun18")
    assert item_fingerprint(params, 0.1, "fast8") != names[-1]


def test_outcome_is_that_of_the_bytes_not_of_the_training_code(workspace):
    def write(name, text):
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("outputs/train/train.json", "{}")
    write("outputs/train/snapshots/a.safetensors", "1")
    before = outcome(changed())
    (workspace / "training" / "loop.py").open("a").write("# a remark\n")
    write("outputs/train/.gitignore", "/snapshots")  # DVC's
    assert outcome(changed(cluster={"num_workers": 0}, train={"lr": 0.5})) == before
    assert outcome(changed(evaluation={"num_images": 65})) != before
    assert outcome(changed(ema={"lengths": [0.1]})) != before
    assert outcome(changed(samplers=["fast8"])) != before
    write("outputs/train/snapshots/a.safetensors", "2")
    after = outcome(changed())
    assert after != before
    for name in (
        "evaluation/judge.py",
        "models/ema_reconstruction.py",
        "pipelines/reconstruct.py",
        "pipelines/summarize.py",
    ):
        before = outcome(changed())
        edited(workspace, name)
        assert outcome(changed()) != before, name
    assert outcome(changed()) != after


def test_folder_names_stage_and_fingerprint(tmp_path):
    one = Identity("train", "p", "i", "c")
    assert one.folder(tmp_path) == tmp_path / ".runs" / f"train-{one.fingerprint}"
    assert one.fingerprint != Identity("train", "p", "i", "d").fingerprint
    assert code_hash({ROOT / "dvc.yaml"}) == code_hash({ROOT / "dvc.yaml"})


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_names_the_params_of_the_fingerprint(stage):
    named = {p for p in STAGES[stage]["params"] if "${" not in p}
    assert named == set(KIND_PARAMS if stage == "kinds" else STAGE_PARAMS[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_stage_code_reads_only_the_params_that_dvc_names(stage):
    """Every `params.section[.key]` in the stage's own module is a param of its DVC stage."""
    allowed = {re.sub(r"\.\$\{.*", "", p) for p in STAGES[stage]["params"]}
    allowed |= {"cluster", "tracking"}  # decide no result
    path = find_module(stage_module(stage), ROOT)
    assert path is not None
    source = path.read_text()
    for match in re.finditer(r"\bparams((?:\.[a-z_]+)+)", source):
        path = match.group(1).lstrip(".")
        if path.split(".")[0] not in Params.model_fields:
            assert path in ("run_settings", "student_settings", "model_dump"), path
            continue
        assert any(
            (path + ".").startswith(a + ".") or (a + ".").startswith(path + ".") for a in allowed
        ), f"{stage} reads params.{path}"


def test_fingerprints_ignore_working_folder(workspace, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert dvc_root() == workspace
    monkeypatch.setenv("DVC_ROOT", "/somewhere/else")
    assert dvc_root() == Path("/somewhere/else")


def test_weights_named_by_path_are_found_beside_the_project_and_count(
    workspace, monkeypatch, copy_code
):
    """Autoguidance's own file: by content, and also where DVC runs a copy of the project."""
    entry = {"kind": "autoguidance", "weight": 2.0, "weights": "guide.safetensors"}
    params = changed(sampling={"g": {"guidance": [entry]}}, samplers=["g"])
    with pytest.raises(
        ValueError, match=r"sampling\.g\.guidance: guide.safetensors does not exist"
    ):
        pipeline_tag(params)
    (workspace / "guide.safetensors").write_bytes(b"1")
    tags = [pipeline_tag(params)]
    items = [item_fingerprint(params, 0.1, "g")]
    copy = workspace / "copy"
    copy.mkdir()
    copy_code(copy, workspace)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    assert pipeline_tag(params) == tags[0]
    found = with_guiding_files(params.sampling["g"], "g").guidance[0].weights
    assert Path(found) == workspace / "guide.safetensors"
    (workspace / "guide.safetensors").write_bytes(b"2")
    assert pipeline_tag(params) != tags[0]
    assert item_fingerprint(params, 0.1, "g") != items[0]
