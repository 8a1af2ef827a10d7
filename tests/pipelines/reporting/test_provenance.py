"""The record of what a result was made from, and what differs from it."""

import json
from pathlib import Path

import pytest

from pipelines import verify
from pipelines.params import load_params
from pipelines.reporting.provenance import PARTS, differences, provenance
from pipelines.reporting.stage_outputs import PROVENANCE, ResultsError
from pipelines.workspace.stage_code import content_hash

ROOT = Path(__file__).parents[3]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with the project's code, params, a data set of one file and weights."""
    for package in ROOT.glob("*/__init__.py"):
        (tmp_path / package.parent.name).symlink_to(package.parent)
    (tmp_path / "params.yaml").write_text((ROOT / "presets/digits.yaml").read_text())
    for file in ("dataset/images.npy", "dataset/sheet.png", "ema/0.1.safetensors"):
        path = tmp_path / "outputs" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorded(workspace):
    """reports/metrics.json and the record beside it."""
    folder = workspace / "reports"
    folder.mkdir()
    record = provenance(load_params(workspace / "params.yaml"))
    (folder / PROVENANCE).write_text(json.dumps(record))
    stated = {"provenance": content_hash(folder / PROVENANCE)}
    (folder / "metrics.json").write_text(json.dumps(stated))
    return record


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["verify", *words])
    verify.main()


def test_it_names_params_data_weights_and_code(workspace):
    record = recorded(workspace)
    assert set(record) == set(PARTS)
    assert record["params"]["train.lr"] == 0.01 and "cluster.num_workers" not in record["params"]
    assert set(record["dataset"]) == {"outputs/dataset/images.npy"}  # pictures decide nothing
    assert set(record["weights"]) == {"outputs/ema/0.1.safetensors"}
    assert {"training/loop.py", "evaluation/kid.py", "models/denoiser.py"} <= set(record["code"])
    assert "sampling/solvers/ddim.py" not in record["code"]  # the preset has no such solver


def test_nothing_differs(workspace, monkeypatch, capsys):
    recorded(workspace)
    run(monkeypatch)
    out = capsys.readouterr().out
    assert out.count("as recorded") == len(PARTS) and "NOT" not in out


def test_each_difference_is_named(workspace, monkeypatch, capsys):
    recorded(workspace)
    (workspace / "outputs/ema/0.1.safetensors").write_bytes(b"another")
    (workspace / "outputs/ema/0.2.safetensors").write_bytes(b"one more")
    (workspace / "outputs/dataset/images.npy").unlink()
    text = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(text.replace("  lr: 0.01\n", "  lr: 0.02\n", 1))
    with pytest.raises(SystemExit, match=r"params, dataset, weights: not what"):
        run(monkeypatch)
    out = capsys.readouterr().out
    assert "train.lr: 0.01 when the result was made, 0.02 now" in out
    assert "outputs/dataset/images.npy: is missing" in out
    assert "outputs/ema/0.1.safetensors: has other content" in out
    assert "outputs/ema/0.2.safetensors: is new" in out
    assert out.count("NOT as recorded") == 3


def test_a_record_that_was_changed_is_none(workspace, monkeypatch):
    recorded(workspace)
    with (workspace / "reports" / PROVENANCE).open("a") as stream:
        stream.write(" ")
    with pytest.raises(ResultsError, match=r"was changed after .*metrics.json was written"):
        run(monkeypatch)


def test_an_older_result_has_no_record(workspace, monkeypatch):
    (workspace / "reports").mkdir()
    (workspace / "reports" / "metrics.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"metrics.json: there is no record .* -f summarize"):
        run(monkeypatch)


def test_values_that_are_gone_or_null():
    before = {"params": {"a": None, "b": True}}
    after = {"params": {"b": False, "c": 1}}
    assert differences(before, after)["params"] == [
        "a: null when the result was made, (not set) now",
        "b: true when the result was made, false now",
        "c: (not set) when the result was made, 1 now",
    ]
    assert differences(before, before) == {}
