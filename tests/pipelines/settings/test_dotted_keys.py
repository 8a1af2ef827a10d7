"""Keys of params.yaml and how `dvc exp run -S` writes their values."""

import shlex

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from pipelines.params import check_params, load_params
from pipelines.settings.dotted_keys import (
    check_key,
    experiment_command,
    known_keys,
    override_text,
    set_options,
    with_values,
)
from pipelines.settings.yaml_file import ParamsError, read_yaml

RAW = read_yaml("presets/digits.yaml")

VALUES = {
    "train.lr": 1.234e-05,
    "train.init_from": "my weights/a'b.safetensors",
    "train.compile": True,
    "dataset.path": None,
    "dataset.name": "1e5",
    "model.channel_mult": [1, 2, 4],
    "model.structural_blocks": [{"kind": "graph_conv", "k": 3, "width": 16}],
    "structure.kind": "none",
    "structure.gate.win_gap": 4.0,
    "sampling.heun18.grid_options": {"rho": 5},
}


@pytest.mark.parametrize("key", VALUES)
def test_dvc_reads_back_what_is_written(tmp_path, key):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(RAW))
    apply_overrides(path, set_options(RAW, {key: VALUES[key]})[1::2])
    assert read_yaml(path) == with_values(RAW, {key: VALUES[key]})


def test_with_values_leaves_the_source_alone():
    changed = with_values(RAW, {"train.lr": 0.5, "structure.gate.win_gap": 3.0})
    assert changed["train"]["lr"] == 0.5 and changed["structure"]["gate"] == {"win_gap": 3.0}
    assert RAW["train"]["lr"] != 0.5 and "gate" not in RAW["structure"]
    assert check_params(changed).structure.gate.win_gap == 3.0


def test_command_is_one_shell_line():
    line = experiment_command(RAW, {"model.channel_mult": [1, 2], "train.lr": 0.02}, "best")
    words = shlex.split(line)
    assert words[:5] == ["dvc", "exp", "run", "-n", "best"]
    assert words[5:] == ["-S", "model.channel_mult=[1,2]", "-S", "train.lr=0.02"]


def test_text_that_looks_like_a_number_is_quoted():
    assert override_text("12") == "'12'" and override_text("null") == "'null'"
    assert override_text("graph") == "graph" and override_text(None) == "null"


def test_keys_that_a_dump_leaves_out_at_their_default_are_known():
    known = known_keys(load_params("presets/digits.yaml"))
    for key, default in (
        ("train.optimizer", "adam"),
        ("noise.curriculum_kimg", 0.0),
        ("noise.weighting", "uncertainty"),
        ("sampling.heun18.told_sigma", 1.0),
    ):
        assert known[key] == default
        check_key(key, known, "-S")
        given = with_values(RAW, {key: default})
        assert check_params(given) == check_params(RAW)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("train.lrr", "did you mean 'train.lr'?"),
        ("lambda_0", "did you mean 'structure.lambda_0'?"),
        ("structure", "is a section"),
        ("zzz.yyy", "docs/params.md"),
    ],
)
def test_unknown_keys_name_the_closest(key, said):
    known = known_keys(load_params("presets/digits.yaml"))
    with pytest.raises(ParamsError) as caught:
        check_key(key, known, "here")
    assert said in str(caught.value) and "\n" not in str(caught.value)
