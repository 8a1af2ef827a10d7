"""Which params let variants be judged differently, before anything runs."""

import json
from pathlib import Path

import pytest

from pipelines.replication.plan import judged_differently, plan
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

RAW = read_yaml(Path(__file__).parents[3] / "presets" / "digits.yaml")
FOLDER = with_values(RAW, {"dataset.source": "image_folder", "dataset.path": "photos"})


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("dataset.max_bad_fraction=0.01,0.5", set()),
        ("evaluation.batch_size=64,128", set()),
        ("evaluation.extractor=auto,classifier", set()),
        ("evaluation.inception_path=null,w.pt", set()),
        ("evaluation.extractor=auto,efficientnet_lite0", {"evaluation.extractor"}),
        ("evaluation.num_images=64,128", {"evaluation.num_images"}),
        ("dataset.held_out=0.2,0.25", {"dataset.held_out"}),
    ],
)
def test_params_that_change_no_judgement_are_not_refused(option, told):
    assert judged_differently(RAW, plan(RAW, "1", [option])).keys() == told


@pytest.mark.parametrize(
    ("facts", "same"),
    [({}, False), ({"channels": 1}, True), ({"channels": 3}, False), ({"path": "no"}, False)],
)
def test_of_a_folder_the_prepared_images_say_what_auto_means(tmp_path, monkeypatch, facts, same):
    experiments = plan(FOLDER, "1", ["evaluation.extractor=auto,classifier"])
    monkeypatch.chdir(tmp_path)
    if facts:
        about = {"source": "image_folder", "path": "photos", "name": None, "num_classes": 3}
        (tmp_path / "outputs/dataset").mkdir(parents=True)
        (tmp_path / "outputs/dataset/dataset.json").write_text(
            json.dumps({"channels": 1} | about | facts)
        )
    assert (not judged_differently(FOLDER, experiments)) == same
