"""Weights of levels: where the learned uncertainty would undo them, and where it cannot."""

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from training.noise.weighting import loss_share
from training.objectives import denoising_loss, denoising_terms

SIGMA = torch.tensor([0.05, 0.2, 0.5, 1.0, 5.0], dtype=torch.float64)


def test_shares_by_hand():
    """At sigma = sigma_data the ratio of signal to noise is 1, at a tenth of it 100."""
    at = torch.tensor([0.5, 0.05])
    assert loss_share("uncertainty", at, 0.5).tolist() == [1, 1]
    assert loss_share("min_snr", at, 0.5).tolist() == pytest.approx([1 / 2, 5 / 101])
    assert loss_share("p2", at, 0.5).tolist() == pytest.approx([1 / 4, 100 / 101**2])
    with pytest.raises(ValueError, match="other"):
        loss_share("other", at, 0.5)


def network():
    torch.manual_seed(0)
    small = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    made = Denoiser((1, 4, 4), 0, small).double()
    with torch.no_grad():  # its output is 0 at the start, and so would be its gradients
        for parameter in made.parameters():
            if parameter.ndim == 0:
                parameter.fill_(1.0)
    return made


def gradients(weight_inside, share, log_variance):
    """Of each image's loss by the denoiser's output, with u as given; [5, pixels]."""
    made = network()
    made.log_variance = lambda sigma: log_variance(made, sigma)
    random = torch.Generator().manual_seed(1)
    images, noise = (
        torch.randn(5, 1, 4, 4, generator=random, dtype=torch.float64) for _ in range(2)
    )
    out = []

    def forward(x, sigma, labels):
        found = made(x, sigma, labels).detach().requires_grad_()
        out.append(found)
        return found

    loss, plain, _ = denoising_terms(
        made, images, torch.full((5,), -1), SIGMA, noise, forward, share
    )
    if weight_inside is not None:
        u = log_variance(made, SIGMA)
        squared = (out[0] - images).square().mean((1, 2, 3))
        edm = (plain / squared).detach()
        loss = weight_inside * edm * squared / u.exp() + u
    (gradient,) = torch.autograd.grad(loss.sum(), out)
    return gradient.flatten(1), plain


@pytest.mark.parametrize("weighting", ["min_snr", "p2"])
def test_inside_u_absorbs_a_weight_and_beside_it_it_counts(weighting):
    """At the optimum of u, which is the logarithm of what it divides (finding of the sabotage)."""
    share = loss_share(weighting, SIGMA, 0.5)
    _, plain = gradients(None, None, lambda made, sigma: torch.zeros(5, dtype=torch.float64))
    optimal = plain.log()
    without, _ = gradients(None, None, lambda made, sigma: optimal)
    inside, _ = gradients(share, None, lambda made, sigma: optimal + share.log())
    torch.testing.assert_close(inside, without, rtol=1e-12, atol=0)
    beside, _ = gradients(None, share, lambda made, sigma: optimal)
    torch.testing.assert_close(beside, share[:, None] * without, rtol=1e-12, atol=0)


def test_u_learns_as_without_a_weight():
    """Its gradient is 1 - weight e / exp(u), whatever lambda is."""
    made = network()
    random = torch.Generator().manual_seed(1)
    images, noise = (
        torch.randn(5, 1, 4, 4, generator=random, dtype=torch.float64) for _ in range(2)
    )
    given = (made, images, torch.full((5,), -1), SIGMA, noise)
    own = [p for n, p in made.named_parameters() if n.startswith("uncertainty")]
    assert own
    share = loss_share("min_snr", SIGMA, 0.5)
    with_share = torch.autograd.grad(denoising_terms(*given, share=share)[0].sum(), own)
    without = torch.autograd.grad(denoising_loss(*given)[0].sum(), own)
    for a, b in zip(with_share, without, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_input_perturbation_is_a_mislabelled_level():
    """The best linear denoiser of Gaussian data told sigma is that of sigma sqrt(1 + gamma^2)."""
    made, gamma, level, deviation = network(), 0.3, 0.7, 0.5
    random = torch.Generator().manual_seed(2)
    images = deviation * torch.randn(4096, 1, 4, 4, generator=random, dtype=torch.float64)
    noise = torch.randn(4096, 1, 4, 4, generator=random, dtype=torch.float64)
    seen = []

    def forward(x, sigma, labels):
        seen.append((x, sigma))
        return x

    sigma = torch.full((4096,), level, dtype=torch.float64)
    denoising_terms(
        *(made, images, torch.full((4096,), -1), sigma, noise, forward), perturbation=gamma
    )
    ((x, told),) = seen
    assert (told == level).all()
    best = float((x * images).sum() / x.square().sum())
    variance = level**2 * (1 + gamma**2)
    assert best == pytest.approx(deviation**2 / (deviation**2 + variance), rel=0.01)
    plain = deviation**2 / (deviation**2 + level**2)
    assert best != pytest.approx(plain, rel=0.03)
