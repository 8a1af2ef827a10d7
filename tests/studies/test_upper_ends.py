"""Absurd numbers on a study's command line end in one line that says why."""

import pytest

from studies import batch_graph, discriminator, dynamic_steps, guidance
from studies.sampling.__main__ import main as sampling
from studies.structure.options import parse

HUGE = "10000000000"
STUDIES = [
    (guidance.main, ["--ema", "WEIGHTS", "--images", HUGE], "--images"),
    (batch_graph.main, ["a.safetensors", "--sampler", "x", "--images", HUGE], "--images"),
    (batch_graph.main, ["a.safetensors", "--sampler", "x", "-k", HUGE], "-k"),
    (discriminator.main, ["a.safetensors", "--sampler", "x", "--steps", HUGE], "--steps"),
    (sampling, ["--nfe", HUGE], "--nfe"),
    (dynamic_steps.main, ["--nfe", HUGE], "--nfe"),
    (dynamic_steps.main, ["--images", HUGE], "--images"),
    (sampling, ["--images", HUGE], "--images"),
    (lambda words: parse(words, None), ["--jobs", HUGE], "--jobs"),
    (lambda words: parse(words, None), ["--kimg", "1e300"], "a number of kimg"),
]


@pytest.mark.parametrize(("study", "words", "name"), STUDIES)
def test_absurd_numbers_are_refused_before_anything_is_read(tmp_path, capsys, study, words, name):
    (tmp_path / "a.safetensors").touch()
    words = [str(tmp_path) if word == "WEIGHTS" else word for word in words]
    with pytest.raises(SystemExit):
        study(words)
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"error: {name} 1" in last and "can be used: " in last
