"""A rate at which an optimiser hardly learns is remarked on."""

from pipelines.params import check_params
from pipelines.settings.cross_checks import remarks
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

RAW = read_yaml("presets/digits.yaml")


def told(**train):
    values = {f"train.{key}": value for key, value in train.items()}
    return [line for line in remarks(check_params(with_values(RAW, values))) if "muon" in line]


def test_muon_at_adams_rate_is_remarked_on_and_nothing_else():
    (line,) = told(optimizer="muon", lr=0.01)
    assert line.startswith("train.lr: at 0.01 muon hardly learns") and "0.1" in line
    assert not told(optimizer="muon", lr=0.1) and not told(lr=0.01)
