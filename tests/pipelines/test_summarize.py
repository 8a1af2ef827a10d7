"""From the stages' outputs to metrics.json, the table and the page."""

import csv
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipelines import summarize
from pipelines.reporting.report_page import render
from pipelines.reporting.stage_outputs import (
    Item,
    Report,
    ResultsError,
    best_item,
    read_item,
    summary,
    write_csv,
)

LENGTHS = (0.05, 0.1)


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, [16, 16], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def item_json(length, kid, **metrics):
    return {
        "item": f"{length:g}-default",
        "ema_length": length,
        "sampler": "default",
        "num_images": 64,
        "nfe": 35,
        "network_evaluations": 70,
        "n": 20,
        "metric_name": "FD-Classifier",
        "metrics": {
            "fd": {"value": 2.5, "floor": 1.25, "floor_std": 0.1},
            "kid": {"value": kid, "floor": 0.001, "floor_std": 0.002, "std": 0.01},
            "structure_gap": {"value": 0.2, "resolvable": False},
            **metrics,
        },
        "protocol": {"k": 5, "versions": {"scipy": "1.17"}},
    }


def write_outputs(folder, kids=(0.02, 0.01), **metrics):
    """What the stages before summarize leave behind."""

    def write(name, data):
        path = folder / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))

    write(
        "dataset/dataset.json",
        {
            "source": "digits",
            "num_images": 100,
            "num_train": 75,
            "num_held_out": 25,
            "resolution": 8,
            "channels": 1,
            "num_classes": 2,
            "label_names": ["<b>a</b>", "b"],
            "class_counts": [60, 40],
            "untrained_classes": {"<i>rare</i>": [7]},
            "content_hash": "ab" * 32,
            "skipped": [],
            "versions": {"numpy": "2.4"},
        },
    )
    write("reference/reference.json", {"protocol": {"extractor": "classifier"}})
    write(
        "ema/reconstruct.json",
        {
            "num_snapshots": 16,
            "lengths": {"0.05": {"relative_profile_error": 0.004}},
        },
    )
    write(
        "train/train.json",
        {
            "total_nimg": 2000,
            "num_parameters": 123,
            "skipped_steps": 0,
            "structure_kind": "graph",
            "structure_plays": 7,
            "gate": {"open_fraction": 0.5, "shut_reasons": {"at chance": 3}},
            "final": {"denoising_loss": 0.25},
        },
    )
    (folder / "outputs/train/curves.csv").write_text(
        "nimg,denoising_loss,held_out/loss,structure/lambda\n1000,0.5,,\n2000,0.25,0.3,0.1\n"
    )
    for length, kid in zip(LENGTHS, kids, strict=True):
        item = item_json(length, kid, **metrics)
        write(f"evaluate/{item['item']}/metrics.json", item)
        (folder / f"outputs/evaluate/{item['item']}/samples.png").write_bytes(picture())


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    write_outputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def items(*kids, **metrics):
    return [Item.model_validate(item_json(0.05 * i, k, **metrics)) for i, k in enumerate(kids, 1)]


def test_best_is_the_lowest_kid_and_fd_stands_in_where_kid_is_undefined():
    assert best_item(items(0.3, 0.1, 0.2))[1].item == "0.1-default"
    assert best_item(items(None, 0.1, float("nan")))[1].item == "0.1-default"
    by, best = best_item(items(None, None))
    assert (by, best.item) == ("fd", "0.05-default")


def test_summary_is_what_the_schema_says():
    report = summary(
        items(0.3, float("nan")), {"total_nimg": 5, "final": {"loss": float("nan")}}, {}
    )
    text = json.dumps(report.model_dump(by_alias=True), allow_nan=False)
    again = Report.model_validate_json(text)
    assert again == report
    plain = json.loads(text)
    assert plain["schema"] == 1
    assert plain["best"]["kid"] == 0.3 and plain["best"]["ema_length"] == 0.05
    assert plain["items"]["0.05-default"]["fd"] == {"value": 2.5, "floor": 1.25, "floor_std": 0.1}
    assert "value" not in plain["items"]["0.1-default"]["kid"]
    about = {"nfe": 35, "network_evaluations": 70}
    assert about.items() <= plain["items"]["0.05-default"].items()
    assert plain["train"] == {"total_nimg": 5}


def test_summary_says_what_its_items_were_judged_by_and_refuses_a_mixture():
    def judged(*counts):
        pairs = zip(items(0.3, 0.2), counts, strict=True)
        return [
            i.model_copy(update={"protocol": {"n": n, "seed": n} if n else {}}) for i, n in pairs
        ]

    train = {"structure_plays": 5, "gate": {"open_fraction": 0.0, "shut_reasons": {"too few": 5}}}
    report = summary(judged(8, None), train, {"source": "digits", "resolution": 8, "channels": 1})
    assert report.judged_by == {"n": 8, "copies_merged": 0, "data": "digits, 8x8, 1 channel"}
    assert report.train["gate_shut"] == {"too few": 5}
    with pytest.raises(ResultsError, match=r"0.05-default, 0.1-default were not .*dvc repro -f"):
        summary(judged(8, 9), {}, {})


def test_table_has_one_row_per_item_and_empty_cells(tmp_path):
    write_csv(items(0.3, None), tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert float(first["kid"]) == 0.3 and float(first["fd_floor"]) == 1.25
    assert second["kid"] == "" and float(second["kid_floor"]) == 0.001
    assert first["conditional_accuracy"] == "" and float(first["structure_gap"]) == 0.2


def test_page_is_self_contained_and_the_same_each_time(outputs):
    inputs = summarize.read_inputs(["0.05-default", "0.1-default"])
    text = render(inputs)
    assert text == render(inputs)
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", text)
    assert "@import" not in text and "url(" not in text and "<script" not in text
    assert "&lt;b&gt;a&lt;/b&gt;" in text and "<b>a</b>" not in text
    assert "Classes without a training image" in text and "&lt;i&gt;rare&lt;/i&gt;" in text
    assert "Of 2 evaluated settings, the best by KID is EMA length 0.1" in text
    assert "“default”, 70 network evaluations per image." in text  # with those that guidance adds
    assert text.count('<td class="number">70</td>') == 2 and ">35<" not in text
    assert "Not resolved with 20 images on each side." in text
    words = re.sub(r"data:image/png;base64,[^\"]*", "", text)  # in which any letters may stand
    assert "FD-Classifier" in words and "FID" not in words
    # samples of both items, charts over the length, curves
    assert text.count("data:image/png;base64,") >= 6


def test_page_says_which_way_each_metric_is_better(tmp_path, monkeypatch):
    beside = {"value": 1.1, "floor": 0.9, "floor_std": 0.01}
    write_outputs(tmp_path, density=beside, coverage=beside, my_own=beside)
    monkeypatch.chdir(tmp_path)
    text = render(summarize.read_inputs(["0.05-default", "0.1-default"]))
    assert "over k. Better: near its floor." in text
    assert "a generated image nearby. Better: higher, up to its floor." in text
    assert "at any number of images. Better: lower." in text
    assert "<td>my own<small>" in text, "a metric without a row in the table"


def test_page_without_labels_game_or_pictures(tmp_path, monkeypatch):
    write_outputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    train = {"total_nimg": 2000, "structure_kind": "none"}
    (tmp_path / "outputs/train/train.json").write_text(json.dumps(train))
    (tmp_path / "outputs/evaluate/0.05-default/samples.png").unlink()
    text = render(summarize.read_inputs(["0.05-default"]))
    assert "no structure game" in text
    assert "Discriminator logits" not in text


def test_items_of_older_versions_are_read(outputs):
    """They counted the solver's calls alone, so nothing is said of network evaluations."""
    for path in (outputs / "outputs/evaluate").glob("*/metrics.json"):
        written = json.loads(path.read_text())
        del written["network_evaluations"]
        path.write_text(json.dumps(written))
    inputs = summarize.read_inputs(["0.05-default", "0.1-default"])
    assert [item.network_evaluations for item in inputs.items] == [None, None]
    assert "network evaluations per image" not in render(inputs)


def test_missing_or_damaged_outputs_name_the_stage_to_run(outputs):
    (outputs / "outputs/train/train.json").unlink()
    with pytest.raises(ResultsError, match="dvc repro train"):
        summarize.read_inputs(["0.05-default"])
    with pytest.raises(ResultsError, match=r"0\.07-default.*dvc repro evaluate"):
        summarize.read_inputs(["0.07-default"])
    path = outputs / "outputs/evaluate/0.05-default/metrics.json"
    path.write_text('{"item": "x"}')
    with pytest.raises(ResultsError, match="ema_length"):
        read_item(path.parent)
    path.write_text("{")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_item(path.parent)


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("outputs/train/train.json", "train"),
        ("outputs/dataset/dataset.json", "prepare"),
        ("outputs/reference/reference.json", "reference"),
        ("outputs/ema/reconstruct.json", "reconstruct"),
        ("outputs/evaluate/0.05-default/metrics.json", "evaluate"),
    ],
)
def test_whatever_a_stages_json_holds_the_report_is_made_or_the_stage_named(
    outputs, odd_variants, monkeypatch, file, stage
):
    for chart in ("line_chart", "length_chart", "grid_chart"):  # they take long
        for section in ("results", "training"):
            monkeypatch.setattr(
                f"pipelines.reporting.sections.{section}.{chart}",
                lambda *a, **k: b"",
                raising=False,
            )
    written = json.loads((outputs / file).read_text())
    if "metrics" in written:
        written["metrics"] = {"kid": written["metrics"]["kid"]}
    for odd in odd_variants(written):
        (outputs / file).write_text(json.dumps(odd))
        try:
            inputs = summarize.read_inputs(["0.05-default"])
            summarize.summary(inputs.items, inputs.train, inputs.dataset)
            render(inputs)
        except ResultsError as error:
            assert f"dvc repro -f {stage}" in str(error) and "\n" not in str(error)


def test_main_writes_the_three_files_for_the_items_that_params_name(outputs, monkeypatch):
    lengths = SimpleNamespace(lengths=(0.12,))  # a wrong params file: nothing is judged at it
    params = SimpleNamespace(
        ema=lengths,
        samplers=("default",),
        distil=(),
        tracking=SimpleNamespace(enabled=False),
        model_dump=lambda mode: {"train": {"lr": 0.5}, "dataset": {"source": "digits"}},
    )
    presets = {"small": {"train.lr": 0.25, "dataset.source": "digits"}}
    monkeypatch.setattr(summarize, "load_presets", lambda: presets)
    monkeypatch.setattr(summarize, "load_params", lambda path: params)
    monkeypatch.setattr(summarize, "pipeline_tag", lambda params: "tag")
    monkeypatch.setattr(summarize, "stage_fingerprint", lambda stage, params: "fingerprint")
    monkeypatch.setattr(summarize, "provenance", lambda params: {"params": {}})
    monkeypatch.setattr("sys.argv", ["summarize"])
    with pytest.raises(ResultsError, match=r"0\.12-default"):
        summarize.main()
    assert not (outputs / "outputs/unused").exists(), "a run that fails moves nothing"
    lengths.lengths = (0.1,)  # 0.05 lies there too, from an earlier setting
    summarize.main()
    assert (outputs / "outputs/unused/0.05-default/metrics.json").is_file()
    written = json.loads((outputs / "reports/metrics.json").read_text())
    assert list(written["items"]) == ["0.1-default"]
    names = {path.name for path in (outputs / "reports").iterdir()}
    assert names == {"metrics.json", "fid_by_ema.csv", "report.html", "provenance.json"}
    page = (outputs / "reports/report.html").read_text()
    assert "1 param differs from the closest preset, “small”:" in page
    assert "<code>train.lr</code></td><td>0.25</td><td>0.5</td>" in page
