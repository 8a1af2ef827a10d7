"""What --bands asks for, and what it refuses."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from pipelines.params import ParamsError, check_params, load_params
from pipelines.sampling_command.arguments import command_line
from pipelines.sampling_command.bands import band_workers, draw_shared, with_bands
from pipelines.settings.dotted_keys import with_values
from sampling.config import SamplerConfig
from sampling.request import GenerationRequest

ROOT = Path(__file__).parents[3]
GUIDED = SamplerConfig(guidance=({"kind": "classifier_free", "weight": 2.0},))
NETWORK = ROOT / "tests" / "models" / "bands" / "network.py"


def parsed(*words: str):
    return command_line("").parse_args(["w.safetensors", *words])


@pytest.mark.parametrize(
    ("words", "sampler", "bands", "workers"),
    [
        ("", SamplerConfig(), None, 0),
        ("--bands 4", SamplerConfig(), None, 4),
        ("--bands 4", GUIDED, None, 4),
        ("--bands 4 --band-mode displaced --band-workers 0", SamplerConfig(), (4, 1), 0),
        ("--bands 4 --band-mode displaced", SamplerConfig(), (4, 1), 4),
        ("--bands 4 --band-mode displaced --band-warm-up 3", SamplerConfig(), (4, 3), 4),
        ("--bands 2 --band-mode displaced", GUIDED, (2, 1), 4),
        ("", SamplerConfig(bands={"count": 2}), (2, 1), 0),
        ("--band-workers 2", SamplerConfig(bands={"count": 2}), (2, 1), 2),
    ],
)
def test_bands_and_workers(words, sampler, bands, workers):
    args = parsed(*words.split())
    found = with_bands(args, sampler)
    assert (found.bands and (found.bands.count, found.bands.warm_up)) == bands
    assert band_workers(args, found) == workers


@pytest.mark.parametrize(
    ("words", "sampler", "message"),
    [
        ("--band-mode exact", SamplerConfig(), "give --bands too"),
        ("--band-workers 2", SamplerConfig(), "give --bands too"),
        ("--bands 0", SamplerConfig(), "takes at least 1"),
        ("--bands 2 --trajectory", SamplerConfig(), "workers share single images"),
        ("--band-workers 2 --lengths", SamplerConfig(bands={"count": 2}), "share single images"),
        ("--band-workers -3", SamplerConfig(bands={"count": 2}), "at least 0"),
        ("--bands 4 --band-workers 2", SamplerConfig(), "exact bands are drawn by as many"),
        ("--bands 5000 --band-mode displaced", SamplerConfig(), "count"),
        ("--bands 2 --band-mode displaced --band-warm-up 20000", SamplerConfig(), "warm_up"),
        ("--bands 2 --band-mode displaced", SamplerConfig(solver="consistency"), "new noise"),
        ("--bands 2 --band-warm-up 1", SamplerConfig(), "exact needs none"),
        ("--bands 2", SamplerConfig(bands={"count": 4}), r"bands of its own \(4\)"),
        ("--bands 2", SamplerConfig(guidance=({"kind": "gradient"},)), "guidance gradient reaches"),
    ],
)
def test_what_does_not_go_together(words, sampler, message):
    with pytest.raises(ValueError, match=message):
        with_bands(parsed(*words.split()), sampler)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--bands 3", "32 rows cannot be cut into 3 equal bands"),
        ("--bands 4 --band-mode displaced --band-workers 2", "the 4 bands of an image need 4"),
    ],
)
def test_workers_that_cannot_share_an_image_are_refused_before_they_start(words, message):
    args = parsed(*words.split())
    sampler = with_bands(args, SamplerConfig())
    request = GenerationRequest(
        sampler=sampler, seed=0, indices=range(1), labels=np.zeros(1, np.int64)
    )
    denoiser = runpy.run_path(str(NETWORK))["network"]()
    with pytest.raises(ValueError, match=message):
        draw_shared(args, denoiser, request, lambda *_: None)


def test_guidance_that_reaches_into_the_network_goes_without_bands():
    with pytest.raises(ValueError, match="gradient reaches into the network"):
        SamplerConfig(bands={"count": 2}, guidance=({"kind": "gradient"},))


def test_whole_images_are_stored_without_bands():
    """So that fingerprints of samplers without bands stay what they were."""
    assert "bands" not in SamplerConfig().model_dump(mode="json")
    stored = SamplerConfig(bands={"count": 2, "warm_up": 0}).model_dump(mode="json")
    assert SamplerConfig.model_validate_json(json.dumps(stored)).bands.count == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster.band_workers": 3}, "cluster.band_workers: 3 for sampler heun18: 8 rows"),
        ({"sampling.heun18.bands": {"count": 16}}, "sampling.heun18.bands.count: 8 rows"),
        ({"sampling.heun18.bands": {"cuont": 16}}, "cuont"),
    ],
)
def test_params_name_bands_that_do_not_divide(changes, message):
    raw = load_params(ROOT / "params.yaml").model_dump(mode="json")
    with pytest.raises(ParamsError, match=message):
        check_params(with_values(raw, changes))
