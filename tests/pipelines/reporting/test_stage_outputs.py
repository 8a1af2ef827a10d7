"""Numbers of the stages as the report takes them, and items of students beside the denoiser's."""

import csv
import json

import pytest

from pipelines.reporting.stage_outputs import (
    Item,
    ResultsError,
    flat_metrics,
    read_item,
    summary,
    write_csv,
)


def item(name, kid, **more):
    length, _, sampler = name.rpartition("-")
    return Item.model_validate(
        {
            "item": name,
            "ema_length": float(length.rpartition("-")[2]),
            "sampler": sampler,
            "num_images": 64,
            "metrics": {"kid": {"value": kid}},
            **more,
        }
    )


OWN = [item("0.05-long", 0.2), item("0.1-long", 0.1)]
STUDENT = item("quick-0.1-one", 0.01, student="quick", teacher_length=0.05)


def test_students_are_listed_and_never_the_best():
    alone = summary(OWN, {}, {}).model_dump(by_alias=True)
    report = summary(OWN, {}, {}, [STUDENT]).model_dump(by_alias=True)
    entry = report["items"].pop("quick-0.1-one")
    assert report == alone and alone["best"]["item"] == "0.1-long"
    assert (entry["student"], entry["teacher_length"]) == ("quick", 0.05)
    assert entry["kid"] == {"value": 0.01} and entry["ema_length"] == 0.1
    assert all("student" not in entry for entry in alone["items"].values())


def test_students_must_be_judged_as_the_denoiser_is():
    own = [one.model_copy(update={"protocol": {"n": 8}}) for one in OWN]
    with pytest.raises(ResultsError, match=r"quick-0.1-one were .* evaluate evaluate_students`"):
        summary(own, {}, {}, [STUDENT.model_copy(update={"protocol": {"n": 9}})])


def test_a_damaged_item_names_its_own_stage(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"item": "quick-0.1-one"}))
    with pytest.raises(ResultsError, match="dvc repro -f evaluate_students"):
        read_item(tmp_path, "evaluate_students")


def test_the_table_over_lengths_is_of_the_items_that_it_is_given(tmp_path):
    write_csv(OWN, tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as stream:
        assert [row["ema_length"] for row in csv.DictReader(stream)] == ["0.05", "0.1"]


def test_flat_metrics():
    given = {"kid": {"value": 1, "floor": 2.0, "floor_std": None}, "x": {"resolvable": True}}
    assert flat_metrics(given) == {"kid": 1.0, "kid_floor": 2.0}


def test_evaluations_that_differ_between_images_are_told_with_their_ends():
    own = {"nfe": 23.25, "nfe_min": 17, "nfe_max": 41, "network_evaluations": 46.5}
    counted = item("0.1-long", 0.1, **own)
    assert counted.evaluations == "46.5 (NFE 17 to 41)"
    entry = summary([counted], {}, {}).model_dump(by_alias=True)["items"]["0.1-long"]
    assert {key: entry[key] for key in own} == own
    fixed = item("0.1-long", 0.1, nfe=35, network_evaluations=70)
    assert fixed.evaluations == "70" and item("0.1-long", 0.1).evaluations == ""
    entry = summary([fixed], {}, {}).model_dump(by_alias=True)["items"]["0.1-long"]
    assert entry["nfe"] == 35 and "nfe_min" not in entry
