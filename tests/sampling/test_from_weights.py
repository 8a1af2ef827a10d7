"""Images of stored weights, and what their guidance loads beside them."""

import numpy as np
import pytest
import torch

from models.codecs import LatentCodec
from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.extractors.classifier import ClassifierExtractor
from models.layers.low_rank_adapter import AdaptedDenoiser, LowRank
from models.weights import save_weights
from sampling.config import SamplerConfig
from sampling.from_weights import generate_chunk, generate_pictures, make_guides
from sampling.generate import generate
from sampling.guidance.autoguidance import AutoguidanceConfig
from sampling.guidance.gradient import Gradient, GradientConfig
from sampling.request import GenerationRequest


def save_toy(path, seed=0, rank=0, codec=None):
    torch.manual_seed(seed)
    config = ModelConfig(
        channels=8,
        channel_mult=(1,),
        blocks=1,
        attention_resolutions=(),
        structural_blocks=(),
        adapter_rank=rank,
    )
    denoiser = Denoiser((1, 8, 8), 3, config, codec)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
        for module in denoiser.modules():
            if isinstance(module, LowRank):  # at first an adapter changes nothing
                module.up.normal_()
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    return path


@pytest.fixture
def weights(tmp_path):
    return save_toy(tmp_path / "0.1.safetensors")


@pytest.fixture
def classifier(tmp_path):
    torch.manual_seed(1)
    ClassifierExtractor((1, 8, 8), 3).save(tmp_path / "c.safetensors")
    return tmp_path / "c.safetensors"


def request(weights, *guidance, classifier=None, **sampler):
    return GenerationRequest(
        sampler=SamplerConfig(steps=3, guidance=guidance, **sampler),
        seed=7,
        indices=range(4),
        labels=np.array([0, 1, 2, 0]),
        weights=str(weights),
        classifier=None if classifier is None else str(classifier),
    )


def test_pictures_are_the_decoded_images(weights):
    asked, denoiser = request(weights), load_denoiser(weights)
    pictures = generate_chunk(asked)
    assert pictures.shape == (4, 8, 8, 1) and pictures.dtype == np.uint8
    assert (pictures == generate_pictures(denoiser, asked)).all()
    images = generate(denoiser, asked.sampler, 7, range(4), torch.tensor([0, 1, 2, 0]))
    assert (pictures == denoiser.codec.decode(images)).all()


def test_guiding_denoisers_by_length_and_by_file(weights, tmp_path):
    near = load_denoiser(save_toy(tmp_path / "0.2000001.safetensors", seed=1))
    far = load_denoiser(save_toy(tmp_path / "other.safetensors", seed=2))
    denoiser = load_denoiser(weights)
    by_length = AutoguidanceConfig(weight=2.0, length=0.2000001)
    by_file = AutoguidanceConfig(weight=3.0, weights=str(tmp_path / "other.safetensors"))
    guides = make_guides(denoiser, request(weights, by_length, by_file))
    for guide, expected in zip(guides, (near, far), strict=True):  # not one for both
        assert guide.num_classes == 3
        assert torch.equal(guide.output_conv_weight, expected.output_conv_weight)
    assert make_guides(denoiser, request(weights)) == ()
    for entry in (by_length, by_file):
        guided = generate_chunk(request(weights, entry))
        assert (guided != generate_chunk(request(weights))).any()


def test_a_guide_of_other_latents_is_refused_in_one_line(weights, tmp_path):
    def latents(name, mean):
        return LatentCodec(name * 64, (1, 16, 16), (1, 8, 8), (mean,), (1.0,), random=False)

    own = save_toy(tmp_path / "own.safetensors", codec=latents("a", 0.0))
    others = [latents("b", 0.0), latents("a", 1.0)]
    others = [save_toy(tmp_path / f"{n}.safetensors", codec=c) for n, c in enumerate(others)]
    for other in (weights, *others):
        asked = request(own, AutoguidanceConfig(weight=2.0, weights=str(other)))
        with pytest.raises(ValueError, match="does not draw in the space of the denoiser") as error:
            make_guides(load_denoiser(own), asked)
        assert "\n" not in str(error.value)
    alike = save_toy(tmp_path / "alike.safetensors", seed=1, codec=latents("a", 0.0))
    asked = request(own, AutoguidanceConfig(weight=2.0, weights=str(alike)))
    assert make_guides(load_denoiser(own), asked)[0].num_classes == 3


def test_missing_helpers_are_one_clear_error(weights):
    denoiser = load_denoiser(weights)
    with pytest.raises(ValueError, match="autoguidance needs weights"):
        make_guides(denoiser, request(weights, AutoguidanceConfig(weight=2.0)))
    with pytest.raises(ValueError, match=r"gradient needs a classifier.* --classifier FILE"):
        make_guides(denoiser, request(weights, GradientConfig()))


def test_a_classifier_guides_by_its_gradient(weights, classifier):
    denoiser, asked = (
        load_denoiser(weights),
        request(weights, GradientConfig(), classifier=classifier),
    )
    (guide,) = make_guides(denoiser, asked)
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    log_prob = guide(x, torch.ones(4), torch.tensor([0, 1, 2, 0]))
    (slope,) = torch.autograd.grad(log_prob.sum(), x)
    assert log_prob.shape == (4,) and (log_prob < 0).all() and slope.abs().max() > 0
    (elsewhere,) = make_guides(load_denoiser(weights, "meta"), asked)
    assert {p.device.type for p in elsewhere.classifier.parameters()} == {"meta"}


def test_a_classifier_reads_the_denoiser_with_the_adapter_that_the_sampler_switches_on(
    tmp_path, classifier
):
    weights = save_toy(tmp_path / "w.safetensors", rank=2)
    denoiser, labels = load_denoiser(weights), torch.tensor([0, 1, 2, 0])
    x, sigma = torch.randn(4, 1, 8, 8), torch.ones(4)
    read = {}
    for on in (False, True):
        asked = request(weights, GradientConfig(), classifier=classifier, adapter=on)
        (guide,) = make_guides(denoiser, asked)
        read[on] = guide(x, sigma, labels)
        clean = (AdaptedDenoiser(denoiser) if on else denoiser)(x, sigma)
        expected = torch.log_softmax(guide.classifier.classify(clean), 1)
        expected = expected.gather(1, labels[:, None])[:, 0]
        torch.testing.assert_close(read[on], expected)
    assert not torch.allclose(read[False], read[True])


def test_generation_passes_the_adapted_denoiser_on_to_the_guidance(
    tmp_path, classifier, monkeypatch
):
    """One network from end to end: what is denoised and what the classifier reads."""
    weights, seen = save_toy(tmp_path / "w.safetensors", rank=2), []
    forward = Gradient.forward

    def watched(self, x, sigma, labels=None):
        seen.append((self.denoiser, self.log_prob.denoiser))
        return forward(self, x, sigma, labels)

    monkeypatch.setattr(Gradient, "forward", watched)
    generate_chunk(request(weights, GradientConfig(), classifier=classifier, adapter=True))
    assert seen and all(isinstance(part, AdaptedDenoiser) for pair in seen for part in pair)
