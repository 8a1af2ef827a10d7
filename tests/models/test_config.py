"""The denoiser's settings."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from models.config import ModelConfig
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig


def test_reading_settings_does_not_import_torch():
    code = "import sys, models.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_blocks_are_chosen_by_kind():
    blocks = [{"kind": "self_attention", "heads": 2}, {"kind": "graph_conv", "k": 3}]
    config = ModelConfig.model_validate({"structural_blocks": tuple(blocks)})
    assert config.structural_blocks == (SelfAttentionConfig(heads=2), GraphConvConfig(k=3))
    read = ModelConfig.model_validate_json(config.model_dump_json())
    assert read == config and read.model_dump(mode="json")["structural_blocks"][1]["width"] == 64


def test_a_width_that_is_not_set_leaves_what_is_stored_as_it_was():
    plain = {"kind": "self_attention", "heads": 2}
    assert SelfAttentionConfig(heads=2).model_dump(mode="json") == plain
    config = ModelConfig(structural_blocks=(SelfAttentionConfig(heads=2, width=16),))
    stored = json.loads(config.model_dump_json())
    assert stored["structural_blocks"] == [plain | {"width": 16}]
    assert ModelConfig.model_validate_json(json.dumps(stored)) == config


@pytest.mark.parametrize(
    ("block", "place", "told"),
    [
        ({"kind": "graf_conv"}, ("kind",), "structural block 'graf_conv': did you mean 'graph_co"),
        ({"kind": "graph_conv", "K": 3}, ("K",), "unknown key 'K': did you mean 'k'"),
        ({"kind": "graph_conv", "k": 0}, ("k",), "greater than or equal to 1"),
        ({"kind": "graph_conv", "heads": 2}, ("heads",), "heads belongs to kind self_attention"),
        ({"heads": 2}, ("kind",), "unknown structural block None"),
    ],
)
def test_mistakes_in_a_block_stand_at_their_place(block, place, told):
    with pytest.raises(ValidationError) as error:
        ModelConfig.model_validate_json(json.dumps({"structural_blocks": [block]}))
    (problem,) = error.value.errors()
    assert problem["loc"] == ("structural_blocks", 0, *place) and told in problem["msg"]


@pytest.mark.parametrize(
    ("block", "channels", "side", "told"),
    [
        (GraphConvConfig(), 64, 2, None),
        (GraphConvConfig(), 64, 1, ": graph_conv relates the pixels"),
        (SelfAttentionConfig(heads=4), 64, 1, None),
        (SelfAttentionConfig(heads=5), 64, 4, r".heads: 5 does not divide the 64 channels"),
        (SelfAttentionConfig(heads=5, width=40), 64, 4, None),
        (SelfAttentionConfig(heads=4, width=30), 64, 4, ".heads: 4 does not divide the width 30"),
    ],
)
def test_a_block_says_where_it_does_not_fit(block, channels, side, told):
    refusal = block.refusal(channels, side)
    assert refusal is None if told is None else refusal.startswith(told)
