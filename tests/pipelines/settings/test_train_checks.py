"""Fine-tuning that does not fit the rest of params is refused before anything starts."""

import pytest

from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import ParamsError, read_yaml

RAW = read_yaml("presets/digits.yaml")
GIVEN = {"train.init_from": "base.safetensors", "structure.kind": "none"}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"train.init_copy": "overlap", "train.init_from": None},
            "train.init_copy: overlap copies",
        ),
        ({"train.tuned": "gains", "train.init_from": None}, "train.tuned: gains leaves"),
        ({"train.tuned": "adapter", "train.optimizer": "muon"}, "train.tuned: adapter trains none"),
        ({"train.tuned": "adapter", "structure.kind": "graph"}, "structure.kind: none"),
        ({"train.tuned": "adapter", "model.adapter_rank": 4}, "model.adapter_rank: 0"),
        ({"train.tuned": "bias"}, "train.tuned"),
        ({"train.tuned_rank": 0}, "train.tuned_rank"),
        ({"train.init_copy": "some"}, "train.init_copy"),
    ],
)
def test_each_line_names_the_path_and_the_mend(values, line):
    with pytest.raises(ParamsError) as caught:
        check_params(with_values(RAW, GIVEN | values))
    assert line in str(caught.value)


@pytest.mark.parametrize("tuned", ["all", "gains", "adapter"])
def test_what_fits_is_taken(tuned):
    values = GIVEN | {"train.tuned": tuned, "train.init_copy": "overlap"}
    assert check_params(with_values(RAW, values)).train.tuned == tuned
