import json

import pytest
from pydantic import ValidationError

from training.structure.config import StructureConfig


def test_survives_json():
    config = StructureConfig(kind="affinity", k=3, refresh_kimg=10.0)
    assert StructureConfig.model_validate_json(config.model_dump_json()) == config


def test_every_field_is_documented():
    for name, field in StructureConfig.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    "wrong, hint",
    [
        ({"kind": "graphs"}, "unknown discriminator 'graphs': did you mean 'graph'"),
        ({"kind": "nonne"}, "did you mean 'none'"),
        ({"k": 0}, "greater than or equal to 1"),
        ({"lamda_0": 0.1}, "Extra inputs"),
        ({"lr": float("nan")}, "finite"),
        ({"kind": "affinity", "fakes": "onpolicy"}, "set fakes to 'onestep'"),
        ({"sigma_min": 0.5, "sigma_max": 0.1}, "below sigma_min"),
        ({"gate": {"chance_margin": 0.6}}, "less than 0.5"),
    ],
)
def test_refuses_bad_values(wrong, hint):
    with pytest.raises(ValidationError, match=hint):
        StructureConfig.model_validate_json(json.dumps(wrong))
