from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import Mock

from pipelines import prepare
from pipelines.prepare import left_out


def test_what_is_left_out_is_told_by_kind_with_the_reason():
    heic = [{"file": f"cat/{i}.heic", "reason": "HEIC: convert it"} for i in range(48)]
    torn = [{"file": "dog/1.png", "reason": "cut off"}]
    manifest = {"skipped": heic, "empty_classes": ["cat"], "other_files": {".txt": 3}}
    assert left_out(manifest) == [
        "skipped, since they cannot be read: 48 .heic (HEIC: convert it); dataset.json names each",
        "classes without a readable image: cat",
        "left out, since they are no images: 3 .txt",
    ]
    assert "48 .heic, 1 .png (most often: HEIC" in left_out(manifest | {"skipped": heic + torn})[0]
    assert left_out({"skipped": [], "empty_classes": [], "other_files": {}}) == []


def test_class_names_are_no_markdown_in_the_runs_description(monkeypatch, capsys):
    run, shape = Mock(), {"num_train": 3, "num_held_out": 1, "resolution": 8, "channels": 1}
    classes = {"num_classes": 2, "label_names": ["__init__", "*b*"], "class_counts": [2, 2]}
    manifest = {**shape, **classes, "skipped": [], "empty_classes": [], "other_files": {}}

    @contextmanager
    def stage_run(*arguments, **more):
        yield run

    params = SimpleNamespace(dataset=None)
    for name, value in {
        "load_params": lambda path: params,
        "prepare_dataset": lambda *arguments, **more: manifest | {"remarks": []},
        "check_autoencoder": lambda params: None,
        "draw_sheet": lambda folder, manifest: None,
        "pipeline_tag": lambda params: "tag",
        "stage_fingerprint": lambda stage, params: "f",
        "stage_run": stage_run,
    }.items():
        monkeypatch.setattr(prepare, name, value)
    monkeypatch.setattr("sys.argv", ["prepare"])
    prepare.main()
    assert r"\_\_init\_\_ \(2\), \*b\* \(2\)" in run.describe.call_args.args[0]
    assert "__init__ (2), *b* (2)" in capsys.readouterr().out
