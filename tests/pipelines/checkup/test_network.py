"""What the doctor says of a network's size: of the published large shape, and of a small one."""

import resource
from pathlib import Path

import pytest

from pipelines.checkup.network import network_lines, operations
from pipelines.params import check_params, load_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def peak_kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def lines(params):
    return dict(network_lines(params))


def test_the_published_large_shape_is_counted_without_its_weights_or_folders():
    params, before = load_params(ROOT / "presets" / "latent512.yaml"), peak_kilobytes()
    told = lines(params)
    assert peak_kilobytes() - before < 1e6, "the weights are 1.9 GB"
    assert told["network"] == (
        "478,460,119 parameters and 4,897,912 of its adapter; one evaluation of one image of "
        "4x64x64 takes 556 GFLOP (two for each multiply-add)"
    )
    assert told["memory"] == (
        "12 GB in each worker for weights, gradients, two moments and two averages; "
        "activations and the game's networks come on top"
    )
    preset = (ROOT / "presets" / "latent512.yaml").read_text()
    assert "478 million parameters, 556 GFLOP" in preset and "12 GB" in preset
    page = (ROOT / "docs" / "latents.md").read_text()
    assert all(text in page for text in told.values())


def small(**changes):
    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    return check_params(with_values(raw, {k.replace("__", "."): v for k, v in changes.items()}))


def test_a_small_network_has_small_units_and_says_what_it_takes_for_granted():
    plain = small(structure__kind="none", model__channels=8, model__channels_per_head=8)
    told = lines(plain)
    assert "parameters (with 10 classes); one evaluation of one image of 1x8x8" in told["network"]
    assert " MFLOP (" in told["network"] and "1.2 MB in each worker" in told["memory"]
    assert told["memory"].endswith("activations come on top")
    half = lines(small(autoencoder={"kind": "pca", "factor": 2, "channels": 3}))
    assert "one image of 3x4x4 takes" in half["network"]


def test_of_captions_the_length_of_their_vectors_counts():
    words = lines(small(model__text={"kind": "words", "width": 12}))
    assert "parameters besides 12 for each word; one" in words["network"]
    unknown = lines(small(model__text={"kind": "clip", "path": "nowhere"}))
    assert set(unknown) == {"network"} and "or with model.text.width" in unknown["network"]
    known = lines(small(model__text={"kind": "clip", "path": "nowhere", "width": 12}))
    assert "parameters; one evaluation" in known["network"]


@pytest.mark.parametrize(
    ("flop", "said"),
    [(7, "7.00 FLOP"), (60_512_345, "60.5 MFLOP"), (556e9, "556 GFLOP"), (1.7e12, "1.70 TFLOP")],
)
def test_operations_have_three_digits_and_a_unit(flop, said):
    assert operations(int(flop)) == said
