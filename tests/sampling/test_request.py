"""Requests for images: what they refuse, and how they are cut."""

import pickle
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.generate import generate_batches
from sampling.guidance.base import Guided
from sampling.guidance.config import GuidanceConfig, Needs
from sampling.guidance.table import KINDS
from sampling.request import GenerationRequest


def request(count=10, sampler=None, **values):
    values = {"seed": 7, "indices": range(count), "labels": np.arange(count) % 3} | values
    return GenerationRequest(sampler=sampler or SamplerConfig(steps=3), **values)


def test_parts_make_the_same_images():
    means = torch.tensor([-0.7, 0.0, 0.7]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    denoiser = GaussianMixtureDenoiser(means, 0.1, None, [0, 1, 2])
    whole = request(batch_size=4)
    images = torch.cat(list(generate_batches(denoiser, whole)))
    parts = whole.split(4)
    assert [list(part.indices) for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    drawn = [batch for part in parts for batch in generate_batches(denoiser, part)]
    assert torch.equal(torch.cat(drawn), images)
    scattered = request(3, indices=[8, 2, 5], labels=np.array([2, 2, 2])).split(2)
    assert [list(part.indices) for part in scattered] == [[8, 2], [5]]


def test_travels_to_another_process():
    sent = request(sampler=SamplerConfig(guidance=({"weight": 2.0},)), weights="a.safetensors")
    arrived = pickle.loads(pickle.dumps(sent))
    assert arrived.sampler == sent.sampler and arrived.weights == "a.safetensors"
    assert (arrived.labels == sent.labels).all() and list(arrived.indices) == list(range(10))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        request(batch_size=0)
    with pytest.raises(ValueError, match=r"labels have shape \(3,\) for 10 images"):
        request(labels=np.zeros(3, np.int64))


class TogetherConfig(GuidanceConfig):
    """A toy: draws every image of a batch towards the mean of the batch."""

    needs: ClassVar[Needs] = Needs(whole_batches=True)

    kind: Literal["together"] = "together"
    share: float = 0.5

    def wrap(self, denoiser, helper=None):
        return Together(denoiser, self.share)

    def evaluations(self, sigma, inside, unguided):
        return inside


class Together(Guided):
    def __init__(self, denoiser, share):
        super().__init__(denoiser)
        self.share = share

    def forward(self, x, sigma, labels=None):
        x0 = self.unguided(x, sigma, labels)
        return x0 + self.share * (x0.mean(0) - x0)


def test_batches_that_guidance_needs_whole_are_not_cut(monkeypatch):
    """A new kind of guidance: one class and one entry in the table."""
    monkeypatch.setitem(KINDS, "together", TogetherConfig)
    sampler = SamplerConfig.model_validate_json(
        '{"steps": 3, "guidance": [{"kind": "together", "share": 0.9}]}'
    )
    whole = request(8, sampler, batch_size=4)
    with pytest.raises(ValueError, match=r"together needs whole batches.* a multiple of 4"):
        whole.split(2)
    with pytest.raises(ValueError, match="parts of 6 images would cut"):
        whole.split(6)
    assert len(whole.split(4)) == 2 and len(request(3, sampler, batch_size=4).split(3)) == 1
    assert len(request(8, batch_size=4).split(2)) == 4  # nothing else needs whole batches
    denoiser = GaussianMixtureDenoiser(
        torch.tensor([-0.7, 0.7]).view(2, 1, 1, 1), 0.1, None, [0, 1]
    )
    labels = np.arange(8) % 2
    together = request(8, sampler, batch_size=4, labels=labels)
    images = torch.cat(list(generate_batches(denoiser, together)))
    parts = [batch for part in together.split(4) for batch in generate_batches(denoiser, part)]
    assert torch.equal(torch.cat(parts), images)
    alone = request(8, sampler, batch_size=2, labels=labels)  # or nothing would be lost by a cut
    assert not torch.allclose(torch.cat(list(generate_batches(denoiser, alone))), images)


def test_groups_are_whole_in_requests_parts_and_batches():
    entry = {"kind": "distribution", "target": {"a": 1.0}, "group": 4}
    sampler = SamplerConfig(steps=3, guidance=(entry,))
    fits = request(8, sampler, batch_size=4)
    assert [len(part.indices) for part in fits.split(4)] == [4, 4]
    assert request(4, sampler, indices=range(8, 12), batch_size=256)
    with pytest.raises(ValueError, match="10 images would cut its groups of 4"):
        request(10, sampler, batch_size=4)
    with pytest.raises(ValueError, match="batches of 6 images would cut"):
        request(12, sampler, batch_size=6)
    with pytest.raises(ValueError, match="do not begin at a multiple"):
        request(4, sampler, indices=range(2, 6), batch_size=4)
    with pytest.raises(ValueError, match="parts of 6 images would cut"):
        request(12, sampler, batch_size=4).split(6)
    with pytest.raises(ValueError, match="put it first in the list"):
        SamplerConfig(guidance=({"weight": 2.0}, entry))
    with pytest.raises(ValueError, match="adapter: false"):
        SamplerConfig(guidance=(entry,), adapter=True)
