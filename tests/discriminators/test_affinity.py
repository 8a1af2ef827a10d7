import pytest
import torch
from torch import nn

from discriminators.affinity import AffinityDiscriminator
from discriminators.config import DiscriminatorConfig
from training.structure.config import GateConfig, StructureConfig

LABELS = torch.zeros(16, dtype=torch.int64)


def form(gamma=0.0) -> AffinityDiscriminator:
    torch.manual_seed(0)
    return AffinityDiscriminator(
        6, DiscriminatorConfig(kind="affinity", width=16, gamma=gamma)
    ).double()


def pair(n=16, shift=0.5) -> tuple[torch.Tensor, torch.Tensor]:
    real = torch.randn(n, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.randn(n, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return real, real + shift * noise


def test_equals_the_closed_form():
    discriminator = form()
    discriminator.encoder = nn.Identity()
    real, fake = pair()
    cosine = nn.CosineSimilarity(dim=-1)
    total = 0.0
    for i in range(16):
        for j in range(16):
            if i != j:
                gap = cosine(real[i], real[j]) - cosine(fake[i], fake[j])
                total += gap.item() ** 2 / (16 * 15)
    assert discriminator.loss_g(real, fake, LABELS).item() == pytest.approx(total, rel=1e-10)
    assert discriminator.loss_d(real, fake, LABELS).adversarial.item() == pytest.approx(-total)


def test_is_paired_and_zero_for_equal_batches():
    discriminator = form()
    real, _ = pair()
    assert discriminator.paired
    report = discriminator.loss_d(real, real, LABELS).report
    assert report["distance"] < 1e-20 and report["accuracy"] == pytest.approx(0.5)


def test_encoder_and_fakes_pull_in_opposite_directions():
    discriminator = form()
    real, fake = pair()
    start = discriminator.loss_g(real, fake, LABELS).item()
    fake.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator.loss_g(real, fake, LABELS), fake)
    assert discriminator.loss_g(real, fake - 0.1 * gradient, LABELS) < start
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        discriminator.loss_d(real, fake, LABELS).adversarial.backward()
        optimizer.step()
    assert discriminator.loss_g(real, fake, LABELS) > 1.2 * start


@pytest.mark.parametrize("n", [1, 2, 16])
def test_duplicates_have_finite_gradients(n):
    discriminator = form(gamma=0.1)
    real = torch.ones(n, 6, dtype=torch.float64)
    fake = real.clone().requires_grad_()
    loss = discriminator.loss_d(real, fake, LABELS[:n])
    (loss.adversarial + loss.penalty + discriminator.loss_g(real, fake, LABELS[:n])).backward()
    assert torch.isfinite(fake.grad).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in discriminator.parameters())
    assert all(torch.isfinite(value) for value in loss.report.values())


def test_an_encoder_that_aligns_all_reals_does_not_win_by_far():
    """There are no logits to be scaled down, so a gap above win_gap would stop both players."""
    discriminator = form()
    discriminator.encoder = nn.Identity()
    real, fake = pair()
    aligned = torch.ones(1, 6, dtype=torch.float64) + 1e-4 * real
    gap = discriminator.loss_d(aligned, fake, LABELS).report["logit_gap"]
    assert gap == 2.0 < GateConfig().win_gap


def test_a_gate_that_an_affinity_could_shut_for_good_is_refused():
    with pytest.raises(ValueError, match=r"gate\.win_gap 1\.5"):
        StructureConfig(kind="affinity", gate=GateConfig(win_gap=1.5))
