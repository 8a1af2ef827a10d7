from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from models.extractors.load import ExtractorError
from training.structure.config import StructureConfig
from training.structure.features import DenoiserFeatures, make_psi

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))

SHAPE = (1, 8, 8)


def denoiser(seed=0) -> Denoiser:
    torch.manual_seed(seed)
    return Denoiser(SHAPE, 3, ModelConfig(channels=8))


def images(count=50) -> torch.Tensor:
    return toys.random_images(count).images


@pytest.mark.parametrize("features", ["denoiser", "pixels"])
def test_features_are_standardised_by_the_reals(features):
    psi = make_psi(StructureConfig(features=features), denoiser(), SHAPE)
    psi.standardise([images()[:30], images()[30:]])
    found = psi(images())
    assert found.shape == (50, psi.num_features)
    torch.testing.assert_close(found.mean(0), torch.zeros(psi.num_features), atol=1e-4, rtol=0)
    deviation = found.std(0, correction=0)
    assert (deviation < 1.001).all() and deviation.median() > 0.99


def test_a_shrunken_cloud_stays_shrunken():
    psi = make_psi(StructureConfig(features="pixels"), denoiser(), SHAPE)
    psi.standardise([images()])
    middle = images().mean(0)
    shrunk = psi(middle + 0.5 * (images() - middle))
    torch.testing.assert_close(shrunk, 0.5 * psi(images()), atol=1e-5, rtol=1e-5)


def test_a_feature_that_never_varies_is_not_blown_up():
    constant = images().clone()
    constant[:, :, 0, 0] = -1.0
    psi = make_psi(StructureConfig(features="pixels"), denoiser(), SHAPE)
    psi.standardise([constant])
    typical = psi.scale.median()
    assert psi.scale[0] < 11 * typical
    psi.standardise([torch.zeros(4, *SHAPE)])
    assert torch.isfinite(psi(images())).all()


def test_pools_each_resolution_of_the_encoder_once():
    network = DenoiserFeatures(denoiser(), (0.1,))
    hidden = network.denoiser.encode(images(), torch.full((50,), 0.1), None)
    full = [skip for skip in hidden.skips if skip.shape[-1] == 8][-1]
    expected = torch.cat(
        [
            full.mean((2, 3)),
            (full.var((2, 3), correction=0) + 1e-4).sqrt(),
            hidden.bottleneck.mean((2, 3)),
            (hidden.bottleneck.var((2, 3), correction=0) + 1e-4).sqrt(),
        ],
        1,
    )
    torch.testing.assert_close(network(images()), expected)


def test_is_differentiable_in_the_images_and_frozen_in_its_weights():
    psi = make_psi(StructureConfig(), denoiser(), SHAPE)
    psi.standardise([images()])
    x = images(4).clone().requires_grad_()
    psi(x).square().sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()
    assert not any(p.requires_grad for p in psi.parameters())
    psi.train()
    assert not any(module.training for module in psi.modules())


def test_constant_images_have_finite_gradients():
    psi = make_psi(StructureConfig(), denoiser(), SHAPE)
    x = torch.zeros(4, *SHAPE, requires_grad=True)
    psi(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_is_a_copy_refreshed_only_when_told():
    trained, ema = denoiser(0), denoiser(1)
    psi = make_psi(StructureConfig(), trained, SHAPE)
    before = psi(images())
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1.0)
    assert torch.equal(psi(images()), before)
    psi.refresh(ema)
    assert torch.equal(psi(images()), make_psi(StructureConfig(), ema, SHAPE)(images()))


@pytest.mark.parametrize("features", ["denoiser", "pixels"])
def test_restores_what_it_keeps(features):
    config = StructureConfig(features=features)
    psi = make_psi(config, denoiser(0), SHAPE)
    psi.standardise([images()])
    other = make_psi(config, denoiser(1), SHAPE)
    other.restore(psi.kept())
    assert torch.equal(other(images()), psi(images()))


def test_is_told_the_noise_level_to_which_images_are_renoised():
    config = StructureConfig(feature_sigmas=(0.2, 0.4))
    assert make_psi(config, denoiser(), SHAPE).network.sigmas == (0.2, 0.4)
    config = StructureConfig(fakes="renoise", renoise_sigma=0.7)
    assert make_psi(config, denoiser(), SHAPE).network.sigmas == (0.7,)


def test_an_external_network():
    psi = make_psi(StructureConfig(features="efficientnet_lite0"), denoiser(), SHAPE)
    psi.standardise([images(4)])
    x = images(2).clone().requires_grad_()
    found = psi(x)
    assert found.shape == (2, 1280)
    found.square().sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()
    assert set(psi.kept()) == {"mean", "scale"}  # the weights come with their package


def test_missing_weights_are_told_before_training(monkeypatch):
    def missing(name):
        raise ExtractorError("efficientnet_lite0 needs a package that is not installed")

    monkeypatch.setattr("training.structure.features.load_extractor", missing)
    with pytest.raises(ValueError, match="not installed"):
        make_psi(StructureConfig(features="efficientnet_lite0"), denoiser(), SHAPE)


def test_several_noise_levels_stand_side_by_side():
    config = StructureConfig(feature_sigmas=(0.1, 0.5))
    both = make_psi(config, denoiser(), SHAPE).raw(images())
    alone = [
        make_psi(StructureConfig(feature_sigmas=(sigma,)), denoiser(), SHAPE).raw(images())
        for sigma in (0.1, 0.5)
    ]
    assert torch.equal(both, torch.cat(alone, 1))
    assert not torch.allclose(*alone)


def test_whitened_features_of_reals_are_uncorrelated():
    config = StructureConfig(features="pixels", whitened=True)
    psi = make_psi(config, denoiser(), SHAPE)
    random = torch.Generator().manual_seed(3)
    mixed = torch.randn(64, 64, generator=random)
    data = (images(200).flatten(1) @ mixed).view(200, *SHAPE) / 8
    found = psi.standardise([data])
    covariance = found.T @ found / 200
    torch.testing.assert_close(psi(data), found)
    plain = make_psi(StructureConfig(features="pixels"), denoiser(), SHAPE).standardise([data])
    before = torch.linalg.eigvalsh((plain.T @ plain / 200).double())
    assert before.max() > 3  # they are correlated
    softened = before / (before + 0.01 * before.mean())
    after = torch.linalg.eigvalsh(covariance.double())
    torch.testing.assert_close(after, softened, atol=1e-3, rtol=1e-3)
    shifted = psi(data + 1) - psi(data)  # no mean of its own is taken
    assert shifted.std(0).max() < 1e-3 and shifted.abs().max() > 0.1


def test_whitening_is_soft():
    """A direction that never varies is stretched at most tenfold."""
    config = StructureConfig(features="pixels", whitened=True)
    psi = make_psi(config, denoiser(), SHAPE)
    data = images(200).clone()
    data[:, :, 4:] = data[:, :, :4]  # half of the directions never vary
    psi.standardise([data])
    assert torch.linalg.eigvalsh(psi.whitening).max() < 10.1
    assert set(psi.statistics) == {"mean", "scale", "whitening"}
    again = make_psi(config, denoiser(), SHAPE)
    again.restore(psi.kept())
    assert torch.equal(again(data), psi(data))


def test_quadrants_know_where():
    network = DenoiserFeatures(denoiser(), (0.1,), quadrants=True)
    hidden = network.denoiser.encode(images(), torch.full((50,), 0.1), None)
    full = [skip for skip in hidden.skips if skip.shape[-1] == 8][-1]
    quarters = [full[:, :, r : r + 4, c : c + 4].mean((2, 3)) for r in (0, 4) for c in (0, 4)]
    found = network(images())
    torch.testing.assert_close(found[:, : 4 * full.shape[1]], torch.cat(quarters, 1))
    plain = DenoiserFeatures(denoiser(), (0.1,))(images())
    assert found.shape[1] == 4 * plain.shape[1]
    config = StructureConfig(pooling="quadrants")
    assert make_psi(config, denoiser(), SHAPE).num_features == found.shape[1]
