import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from dataset.config import DatasetConfig


def parse(**fields):
    return DatasetConfig.model_validate_json(json.dumps(fields))


def test_reading_settings_does_not_import_torch():
    code = "import sys, dataset.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_defaults_are_the_embedded_digits():
    config = parse()
    assert (config.source, config.resolution, config.channels) == ("digits", 8, "auto")
    assert config.held_out == 0.25


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "image_folder", "path": "photos", "channels": 3, "resolution": 32},
        {"source": "torchvision", "name": "CIFAR10", "split": "test"},
        {"source": "huggingface", "name": "user/flowers", "label_column": None},
        {"background": "#102030", "held_out": 0.5, "max_bad_fraction": 1},
    ],
)
def test_accepts(fields):
    dumped = parse(**fields).model_dump(mode="json")
    assert {key: dumped[key] for key in fields} == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resolution": 3}, "greater than or equal to 4"),
        ({"resolution": 32.0}, "integer"),
        ({"resolution": True}, "integer"),
        ({"channels": 4}, "'auto', 1 or 3"),
        ({"channels": True}, "use auto, 1 or 3"),
        ({"held_out": 0}, "greater than 0"),
        ({"held_out": 0.6}, "less than or equal to 0.5"),
        ({"max_bad_fraction": 1.5}, "less than or equal to 1"),
        ({"background": "whitish"}, "opaque colour"),
        ({"background": "#11223344"}, "opaque colour"),
        ({"resolutoin": 8}, "Extra inputs"),
        ({"source": "image_foldr"}, "unknown source of images 'image_foldr': did you mean 'image_"),
        ({"source": "image_folder"}, "needs path"),
        ({"path": "photos"}, "source digits: set path to null, or use image_folder"),
        ({"name": "CIFAR10"}, "set name to null"),
        ({"source": "torchvision"}, "FashionMNIST, CIFAR10"),
        ({"source": "torchvision", "name": "MNIST"}, "FashionMNIST, CIFAR10"),
        ({"source": "torchvision", "name": "CIFAR10", "split": "val"}, "train or test"),
        ({"source": "huggingface"}, "needs name"),
        ({"source": "huggingface", "name": "a/b", "path": "c"}, "name instead"),
    ],
)
def test_refuses_and_says_why(fields, message):
    with pytest.raises(ValidationError, match=message):
        parse(**fields)


def test_is_frozen_and_every_field_is_described():
    with pytest.raises(ValidationError):
        parse().resolution = 16
    assert all(field.description for field in DatasetConfig.model_fields.values())
