"""Direct discriminative optimization: its loss at the teacher, its first gradient, and its aim."""

import math

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from sampling.config import SamplerConfig
from training.objectives import direct_discrimination, edm_weight
from training.students import DDOConfig


def normal(count, seed, deviation=1.0):
    random = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(count, 1, 2, 2, generator=random, dtype=torch.float64)


def network(seed=0):
    torch.manual_seed(seed)
    config = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    made = Denoiser((1, 2, 2), 0, config).double()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 0:
                parameter.fill_(1.0)
    return made


LABELS, SIGMA = torch.full((6,), -1), torch.tensor([0.1, 0.3, 0.5, 1.0, 2.0, 5.0]).double()


def test_at_the_teacher():
    """No image has a likelihood ratio; the gradient is denoising the real, and not the drawn."""
    teacher, student = network(), network()
    real, drawn, noise = normal(6, 1, 0.5), normal(6, 2, 0.5), normal(6, 3)
    found = direct_discrimination(
        *(student, teacher, (real, LABELS), (drawn, LABELS), SIGMA, noise), beta=0.3, alpha=2.0
    )
    expected = torch.full((6,), 3 * math.log(2), dtype=torch.float64)
    torch.testing.assert_close(found["loss"], expected)
    assert (found["accuracy"] == 0.5).all()

    def errors(images):
        noisy = images + SIGMA[:, None, None, None] * noise
        squared = (student(noisy, SIGMA, LABELS) - images).square().sum((1, 2, 3))
        return (edm_weight(SIGMA, student.sigma_data) * squared).sum()

    own = [p for n, p in student.named_parameters() if not n.startswith("uncertainty")]
    slopes = torch.autograd.grad(found["loss"].sum(), own)
    by_hand = torch.autograd.grad(0.5 * 0.3 * (errors(real) - 2.0 * errors(drawn)), own)
    for one, other in zip(slopes, by_hand, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


class Scale(torch.nn.Module):
    """D(y) = a y: the best denoiser of normal data has a = s^2 / (s^2 + sigma^2)."""

    sigma_data = 0.5

    def __init__(self, scale):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, x, sigma, labels=None):
        return self.scale * x


@pytest.mark.parametrize("deviation", [0.35, 0.6])
def test_it_leads_from_the_teachers_law_to_the_datas(deviation):
    """The teacher knows data of deviation 0.5, and drew such; the data have another."""
    level, count = 0.5, 20_000
    best = {s: s**2 / (s**2 + level**2) for s in (deviation, 0.5)}
    teacher, student = Scale(best[0.5]), Scale(best[0.5])
    real, drawn, noise = normal(count, 1, deviation), normal(count, 2, 0.5), normal(count, 3)
    labels, sigma = torch.full((count,), -1), torch.full((count,), level, dtype=torch.float64)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.005)
    for _ in range(150):
        found = direct_discrimination(
            *(student, teacher, (real, labels), (drawn, labels), sigma, noise), beta=0.2, alpha=1.0
        )
        optimizer.zero_grad()
        found["loss"].mean().backward()
        optimizer.step()
    moved = student.scale.item() - best[0.5]
    assert moved * (best[deviation] - best[0.5]) > 0 and abs(moved) > 0.02
    assert found["loss"].mean() < 2 * math.log(2) and found["accuracy"].mean() > 0.55


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sampler": SamplerConfig(adapter=True)}, "without adapter"),
        ({"beta": 0.0}, "beta"),
        ({"pairs": 1}, "pairs"),
    ],
)
def test_settings_that_do_not_fit(changes, told):
    with pytest.raises(ValueError, match=told):
        DDOConfig(samplers=("long",), **changes)
