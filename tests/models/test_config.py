"""The denoiser's settings."""

import subprocess
import sys

import pytest

from models.config import ModelConfig
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig


def test_reading_settings_does_not_import_torch():
    code = "import sys, models.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_blocks_are_chosen_by_kind():
    blocks = [{"kind": "self_attention", "heads": 2}, {"kind": "graph_conv", "k": 3}]
    config = ModelConfig.model_validate({"structural_blocks": tuple(blocks)})
    assert config.structural_blocks == (SelfAttentionConfig(heads=2), GraphConvConfig(k=3))
    with pytest.raises(ValueError, match="structural_blocks"):
        ModelConfig.model_validate({"structural_blocks": ({"kind": "pooling"},)})


@pytest.mark.parametrize(
    ("block", "channels", "side", "told"),
    [
        (GraphConvConfig(), 64, 2, None),
        (GraphConvConfig(), 64, 1, ": graph_conv relates the pixels"),
        (SelfAttentionConfig(heads=4), 64, 1, None),
        (SelfAttentionConfig(heads=5), 64, 4, r".heads: 5 does not divide the 64 channels"),
    ],
)
def test_a_block_says_where_it_does_not_fit(block, channels, side, told):
    refusal = block.refusal(channels, side)
    assert refusal is None if told is None else refusal.startswith(told)
