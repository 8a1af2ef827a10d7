"""The oracle is checked against what it cannot share a mistake with: densities and Monte Carlo."""

import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser


def mixture(labels=(0, 0, 1)):
    means = torch.tensor([[-1.0, 0.2], [-0.5, -0.8], [0.9, 0.4]]).view(3, 1, 1, 2)
    return GaussianMixtureDenoiser(means, torch.tensor([0.2, 0.3, 0.15]), [0.5, 0.2, 0.3], labels)


def correlated():
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return GaussianDenoiser((1, 2, 3), 0.3, covariance=root @ root.T / 6 + 0.05 * torch.eye(6))


def points(shape, count=16):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("denoiser", [mixture(), mixture(None), correlated()])
def test_tweedie_holds_with_the_gradient_of_the_density(denoiser):
    """D = x + sigma^2 grad log p_sigma, the gradient taken by autograd of log_prob."""
    x = points(denoiser.image_shape).requires_grad_()
    sigma = torch.logspace(-2, 1, len(x)).double()
    (slope,) = torch.autograd.grad(denoiser.log_prob(x, sigma).sum(), x)
    tweedie = x + sigma.view(-1, 1, 1, 1) ** 2 * slope
    torch.testing.assert_close(denoiser(x, sigma), tweedie, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(denoiser.score(x, sigma), slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("label", [None, 0, 1])
def test_mixture_answer_is_the_average_of_weighted_samples(label):
    """Monte Carlo: E[x0 | x] = sum of samples weighted with N(x; x0, sigma^2)."""
    denoiser, sigma = mixture(), 0.7
    wanted = None if label is None else torch.tensor([label])
    asked = None if label is None else torch.full((400_000,), label)
    data, classes = denoiser.sample(400_000, torch.Generator().manual_seed(2), asked)
    assert label is None or bool((classes == label).all())
    x = torch.tensor([0.3, -0.2]).double().view(1, 1, 1, 2)
    weight = torch.softmax(-((data - x) ** 2).flatten(1).sum(1) / (2 * sigma**2), 0)
    average = (weight.view(-1, 1, 1, 1) * data).sum(0, keepdim=True)
    exact = denoiser(x, torch.tensor([sigma]), wanted)
    torch.testing.assert_close(exact, average, rtol=0, atol=4e-3)


def test_gaussian_samples_have_the_covariance():
    denoiser = correlated()
    data = denoiser.sample(100_000, torch.Generator().manual_seed(3)).flatten(1)
    covariance = denoiser.basis @ torch.diag(denoiser.values) @ denoiser.basis.T
    torch.testing.assert_close(data.T.cov(), covariance, rtol=0.02, atol=0.03)
    torch.testing.assert_close(data.mean(0), torch.full((6,), 0.3).double(), rtol=0, atol=0.02)


def test_one_component_mixture_is_the_gaussian():
    shape, x, sigma = (1, 3, 3), points((1, 3, 3)), torch.linspace(0.1, 3, 16).double()
    gaussian = GaussianDenoiser(shape, 0.4, std=0.6)
    single = GaussianMixtureDenoiser(torch.full((1, *shape), 0.4, dtype=torch.float64), 0.6)
    torch.testing.assert_close(gaussian(x, sigma), single(x, sigma), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        gaussian.log_prob(x, sigma), single.log_prob(x, sigma), rtol=1e-12, atol=1e-12
    )


def test_class_log_prob_is_bayes():
    denoiser, x, sigma = mixture(), points((1, 1, 2)), torch.full((16,), 0.5).double()
    joint = []
    for label, share in ((0, 0.7), (1, 0.3)):
        labels = torch.full((16,), label)
        joint.append(denoiser.log_prob(x, sigma, labels) + torch.tensor(share).log())
    bayes = torch.stack(joint, 1).log_softmax(1)
    for label in (0, 1):
        found = denoiser.class_log_prob(x, sigma, torch.full((16,), label))
        torch.testing.assert_close(found, bayes[:, label], rtol=1e-6, atol=1e-6)


def test_interface_of_a_denoiser():
    denoiser = mixture()
    assert denoiser.image_shape == (1, 1, 2)
    assert denoiser.num_classes == 2 and mixture(None).num_classes == 0
    data, _ = denoiser.sample(200_000, torch.Generator().manual_seed(4))
    assert denoiser.sigma_data == pytest.approx(float(data.flatten(1).var(0).mean().sqrt()), 0.01)
    x = points((1, 1, 2)).float()
    assert denoiser(x, torch.ones(16)).dtype == torch.float32
    unconditional = denoiser(x, torch.ones(16), torch.full((16,), -1))
    torch.testing.assert_close(unconditional, denoiser(x, torch.ones(16)))


def test_flow_keeps_the_direction_and_rescales():
    denoiser, x = correlated(), points((1, 2, 3))
    back = denoiser.flow(denoiser.flow(x, 5.0, 0.1), 0.1, 5.0)
    torch.testing.assert_close(back, x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianDenoiser((1, 2, 2)),
        lambda: GaussianDenoiser((1, 2, 2), covariance=torch.eye(3)),
        lambda: GaussianDenoiser((1, 2, 2), std=0.0),
        lambda: GaussianMixtureDenoiser(torch.zeros(2, 1, 1, 2), 0.0),
        lambda: GaussianMixtureDenoiser(torch.zeros(2, 1, 1, 2), 1.0, [1.0]),
        lambda: GaussianMixtureDenoiser(torch.zeros(2, 1, 1, 2), 1.0, None, [0, 2]),
    ],
)
def test_bad_data_is_refused(make):
    with pytest.raises(ValueError):
        make()
