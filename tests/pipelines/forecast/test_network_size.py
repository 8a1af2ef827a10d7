"""Parameters and operations of a denoiser, against counts by hand and against a real one."""

from pathlib import Path

import pytest
import torch

from dataset.store import ImageDataset
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig
from models.neighbours import nearest
from models.text_encoders.configs import ClipConfig, WordsConfig
from pipelines.forecast.measure import Trial
from pipelines.forecast.network_size import STATE, network_size
from pipelines.forecast.stand_in import write_stand_in
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
SHAPE = (1, 4, 4)
UNCERTAINTY = 128 + 1  # the head of u(sigma), which an evaluation does not call; with its gain


def tiny(**changes):
    plain = {"channels": 4, "channel_mult": (1,), "blocks": 1, "attention_resolutions": ()}
    plain |= {"channels_per_head": 4, "structural_blocks": (), "class_conditional": False}
    return ModelConfig.model_validate(plain | changes)


def test_a_tiny_network_is_counted_as_by_hand():
    """Channels 4 at 4x4 pixels: an encoder block, two in the middle, two in the decoder."""
    pixels, gains = 16, 5 + 1  # a gain in each block, and one at the output
    three = 9  # weights of a 3x3 kernel
    convolutions = (
        2 * 4 * three  # input: the picture, and a channel of ones
        + 3 * (2 * 4 * 4 * three)  # encoder and middle: two of 4 -> 4 each
        + 2 * (8 * 4 * three + 4 * 4 * three + 8 * 4)  # decoder: joined with a skip; 1x1 beside
        + 4 * 1 * three  # output
    )
    vectors = 4 * 4 + 5 * 4 * 4  # of the noise level, and a modulation in each block
    size = network_size(tiny(), SHAPE, 0)
    assert size.parameters == convolutions + vectors + gains + UNCERTAINTY
    assert size.flop == 2 * (pixels * convolutions + vectors)
    assert size.adapter == 0


def test_what_each_part_adds_is_its_formula():
    n, c, e, t = 16, 4, 24, 7  # pixels, channels, length of a text's vectors, its tokens
    plain = network_size(tiny(), SHAPE, 0)

    def added(text_width=0, classes=0, **changes):
        size = network_size(tiny(**changes), SHAPE, classes, text_width)
        return size.parameters - plain.parameters, size.flop - plain.flop

    k, w = 3, 10
    graph = {"structural_blocks": (GraphConvConfig(k=k, width=w),)}
    assert added(**graph) == (3 * c * w, 2 * (n * k * 2 * c * w + n * w * c))
    attention = {"structural_blocks": (SelfAttentionConfig(heads=2, width=w),)}
    assert added(**attention) == (4 * c * w, 2 * (4 * n * c * w + 2 * n * n * w))
    assert added(classes=5, class_conditional=True) == (5 * c, 2 * 5 * c)
    # Three of the four blocks at four pixels attend: encoder, the first in the middle, decoder (2).
    text = ClipConfig(path="nowhere", tokens=t, resolutions=(4,))
    tokens = t + 1  # with the null token
    each = 2 * c * c + 2 * e * c
    macs = 2 * n * c * c + tokens * e * 2 * c + 2 * n * tokens * c
    asked = {"class_conditional": True, "text": text}
    assert added(e, **asked) == (4 * each + e * c + e, 2 * (4 * macs + e * c))


@pytest.mark.parametrize("rank", [0, 3])
def test_it_is_the_number_of_parameters_of_a_real_denoiser(rank):
    config = ModelConfig(channels=8, blocks=1, adapter_rank=rank, channels_per_head=8)
    size = network_size(config, (3, 8, 8), 10)
    real = Denoiser((3, 8, 8), 10, config)
    every = sum(parameter.numel() for parameter in real.parameters())
    of_adapter = sum(p.numel() for name, p in real.named_parameters() if ".adapters." in name)
    assert (size.parameters, size.adapter) == (every - of_adapter, of_adapter)
    assert bool(size.adapter) == bool(rank) and size.state_bytes == every * STATE


def test_the_bytes_of_a_parameter_are_those_that_training_keeps(tmp_path):
    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    params = check_params(with_values(raw, {"model.channels": 8, "structure.kind": "none"}))
    write_stand_in(params.dataset, tmp_path)
    trial = Trial(params.run_settings(), ImageDataset(tmp_path), torch.device("cpu"))
    trial.step(2)
    tensors, _ = trial.state.saved()  # weights, moments, averages; but no gradients
    constants = ("frequencies", "phases", ".step")
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(constants)}
    found = sum(tensor.numel() * tensor.element_size() for tensor in kept.values())
    size = network_size(params.model, (1, 8, 8), 10)
    assert found == (STATE - 4) * size.parameters


def test_the_table_of_words_is_left_out():
    config = tiny(class_conditional=True, text=WordsConfig(width=12, resolutions=(4,)))
    real = Denoiser(SHAPE, 2, config, label_names=["a red ball", "a box"])
    table = real.conditions.table.weight.numel()
    assert table == 4 * 12
    every = sum(parameter.numel() for parameter in real.parameters())
    assert network_size(config, SHAPE, 2, 12).parameters == every - table


def test_the_meta_device_gives_neighbours_a_shape():
    points = torch.empty(2, 9, 5, device="meta")
    assert nearest(points, 4).shape == (2, 9, 4) and nearest(points, 20).shape == (2, 9, 8)
    assert nearest(points, 4).dtype == torch.int64 and nearest(points, 4).is_meta
