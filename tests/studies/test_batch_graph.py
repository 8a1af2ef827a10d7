"""The drawn neighbour graphs: real rows of the labels asked for, the sampler's adapter, errors."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from studies.batch_graph import main, matching_rows

PLAIN = {"solver": "ddim", "grid": "karras", "steps": 2}


@pytest.fixture
def command(material, tmp_path):
    """The command's arguments but for weights and samplers; params with and without the adapter."""
    params = {
        "model": {"adapter_rank": 2},
        "samplers": ["two"],
        "sampling": {"two": PLAIN, "two_game": PLAIN | {"adapter": True}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return (
        f"--params {tmp_path}/params.yaml --dataset {material.dataset} "
        f"--reference {material.reference} --images 24 -k 3 "
        f"--out {tmp_path}/graph.png"
    ).split()


def test_real_rows_have_the_labels_and_repeat_only_when_all_are_used():
    own = np.array([2, 0, 1, 0, 2])
    labels = np.array([0, 2, 0, 0, 1, -1])
    rows = matching_rows(own, labels)
    assert own[rows[:5]].tolist() == labels[:5].tolist()
    assert rows[:4].tolist() == [1, 0, 3, 1]  # the third 0 is the first one again
    assert matching_rows(own, np.array([3])).tolist() == [0]  # a class of which none is there


def test_the_picture_has_a_panel_for_reals_and_each_file(material, command, tmp_path):
    main([str(material.weights), "--sampler", "two", *command])
    one = Image.open(tmp_path / "graph.png").size
    main([str(material.weights), str(material.weights), "--sampler", "two", *command])
    two = Image.open(tmp_path / "graph.png").size
    assert two[0] * 2 == one[0] * 3 and two[1] == one[1]


def test_the_samplers_own_adapter_is_switched_on(material, command, tmp_path, capsys):
    torch.manual_seed(0)
    config = ModelConfig(
        channels=8, blocks=1, attention_resolutions=(), structural_blocks=(), adapter_rank=2
    )
    denoiser = Denoiser((1, 8, 8), 10, config)
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    weights = tmp_path / "adapted.safetensors"
    save_weights(weights, denoiser.state_dict(), describe(denoiser))
    drawn = {}
    for sampler in ("two", "two_game"):
        main([str(weights), "--sampler", sampler, *command])
        drawn[sampler] = (tmp_path / "graph.png").read_bytes()
    assert drawn["two"] != drawn["two_game"]
    with pytest.raises(SystemExit):
        main([str(material.weights), "--sampler", "two_game", *command])
    assert "has none" in capsys.readouterr().err


def test_an_unknown_sampler_is_one_line_with_the_known_ones(material, command, capsys):
    with pytest.raises(SystemExit):
        main([str(material.weights), "--sampler", "tow", *command])
    assert "two, two_game" in capsys.readouterr().err
