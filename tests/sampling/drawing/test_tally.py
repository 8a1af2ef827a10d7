"""Evaluations of each image, with those of guidance at the levels of its own."""

import numpy as np
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.drawing.tally import EvaluationTally
from sampling.generate import generate_batches
from sampling.request import GenerationRequest

SHAPE = (1, 2, 2)


def denoiser():
    means = torch.tensor([-0.7, 0.0, 0.7]).view(3, 1, 1, 1).expand(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.1, None, [0, 1, 2])


def tallied(sampler, indices, batch_size=4):
    tally = EvaluationTally(len(indices), sampler.guidance)
    labels = np.asarray(indices) % 3
    asked = GenerationRequest(
        sampler=sampler, seed=0, indices=indices, labels=labels, batch_size=batch_size
    )
    images = torch.cat(list(generate_batches(denoiser(), asked, tally=tally)))
    return images, tally


def test_a_solver_on_the_grid_counts_what_its_settings_say():
    guidance = ({"weight": 2.0}, {"kind": "interval", "sigma_hi": 3.0})
    sampler = SamplerConfig(steps=6, guidance=guidance)
    _, tally = tallied(sampler, range(7))
    assert (tally.calls == sampler.nfe).all()
    assert (tally.networks == sampler.network_evaluations()).all()


def test_counts_and_images_do_not_depend_on_the_batch():
    guidance = ({"weight": 2.0}, {"kind": "interval", "sigma_hi": 3.0})
    sampler = SamplerConfig(solver="adaptive_heun", guidance=guidance)
    images, tally = tallied(sampler, list(range(10)), 10)
    assert tally.calls.max() > tally.calls.min()
    assert (tally.calls < tally.networks).all() and (tally.networks < 2 * tally.calls).all()
    for indices, size in ((list(range(10)), 3), ([8, 2], 2)):
        some, own = tallied(sampler, indices, size)
        torch.testing.assert_close(some, images[indices], rtol=1e-5, atol=1e-6)
        assert own.calls.tolist() == tally.calls[indices].tolist()
        assert own.networks.tolist() == tally.networks[indices].tolist()


def test_facts_and_words():
    tally = EvaluationTally(3)
    tally.put(0, np.array([17, 20]), np.array([34, 40]))
    tally.put(2, np.array([41]), np.array([82]))
    assert tally.facts() == {
        "nfe": 26.0,
        "nfe_min": 17,
        "nfe_max": 41,
        "network_evaluations": 52.0,
    }
    assert tally.words() == "26.0 evaluations an image, 17 to 41"
