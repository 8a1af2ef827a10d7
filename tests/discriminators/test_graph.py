import pytest
import torch

from discriminators.config import DiscriminatorConfig
from discriminators.forms import make_form
from discriminators.graph import GraphDiscriminator
from discriminators.losses import pair_accuracy

NO_LABELS = torch.full((64,), -1)


def forms(kind: str, **settings):
    config = DiscriminatorConfig(kind=kind, k=4, width=32, **settings)
    return make_form(config, num_features=8, seed=0).double()


def features(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def density_batches(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Reals are independent normal points; fakes have the same marginal but come in close pairs."""
    real = features(64, 2 * seed)
    half = features(32, 2 * seed + 1)
    return real, torch.cat([half, half + 1e-3 * half.flip(0)])


def accuracy_on_density(form, steps=40, batches=10) -> float:
    optimizer = torch.optim.Adam(form.parameters(), lr=3e-3, betas=(0.0, 0.99))
    for step in range(steps):
        real, fake = density_batches(step)
        loss = form.loss_d(real, fake, NO_LABELS)
        optimizer.zero_grad()
        (loss.adversarial + loss.penalty).backward()
        optimizer.step()
    found = []
    with torch.no_grad():
        for seed in range(10_000, 10_000 + batches):
            real, fake = density_batches(seed)
            logits = form(real, NO_LABELS), form(fake, NO_LABELS)
            found.append(pair_accuracy(*logits, NO_LABELS).item())
    return sum(found) / len(found)


class ShuffledEdges(GraphDiscriminator):
    """Sabotage: neighbours drawn at random."""

    def edges(self, features):
        edge_index = super().edges(features)
        return torch.stack([edge_index[0][torch.randperm(edge_index.shape[1])], edge_index[1]])


def test_only_the_graph_sees_density():
    config = DiscriminatorConfig(k=4, width=32)
    torch.manual_seed(0)
    assert accuracy_on_density(forms("graph")) > 0.9
    assert abs(accuracy_on_density(forms("per_sample")) - 0.5) < 0.06
    assert abs(accuracy_on_density(ShuffledEdges(8, config).double()) - 0.5) < 0.2


def test_per_sample_logits_depend_on_their_own_sample_only():
    form, x = forms("per_sample"), features(64, 0)
    changed = torch.cat([x[:1], features(63, 1)])
    torch.testing.assert_close(form(x, NO_LABELS)[0], form(changed, NO_LABELS)[0])
    graph = forms("graph")
    assert (graph(x, NO_LABELS)[0] - graph(changed, NO_LABELS)[0]).abs() > 1e-3


def test_same_number_of_parameters_with_and_without_edges():
    graph, per_sample = forms("graph"), forms("per_sample")
    assert [p.shape for p in graph.parameters()] == [p.shape for p in per_sample.parameters()]


def test_order_of_the_batch_does_not_matter():
    form, x, labels = forms("graph"), features(20, 0), torch.arange(20) % 3
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(form(x, labels)[order], form(x[order], labels[order]))


def test_groups_enter_through_the_edges():
    form, x = forms("graph"), features(20, 0)
    one, many = torch.zeros(20, dtype=torch.int64), torch.arange(20)
    assert not torch.allclose(form(x, one), form(x, many))


@pytest.mark.parametrize("kind", ["graph", "per_sample"])
def test_real_and_fake_are_separate_graphs(kind):
    """A joint graph would let the fake set change the real logits."""
    form, real = forms(kind), features(16, 0)
    labels = NO_LABELS[:16]
    reports = [form.loss_d(real, features(16, seed), labels).report for seed in (1, 2)]
    assert reports[0]["real_logit"] == reports[1]["real_logit"]
    assert reports[0]["fake_logit"] != reports[1]["fake_logit"]


def test_graph_is_wired_as_promised():
    form = forms("graph")
    assert not form.paired
    assert form.neighbours(64) == 4 and form.neighbours(3) == 2
    loss = form.loss_d(features(64, 0), features(64, 1), NO_LABELS)
    assert set(loss.report) == {"real_logit", "fake_logit", "logit_gap", "accuracy", "r1", "r2"}
    expected = 0.5 * form.gamma_r1 * (loss.report["r1"] + loss.report["r2"])
    torch.testing.assert_close(loss.penalty, expected)


@pytest.mark.parametrize("kind", ["graph", "affinity"])
def test_r2_may_have_a_weight_of_its_own(kind):
    config = DiscriminatorConfig(kind=kind, width=16, gamma=0.2, gamma_r2=0.6)
    form = make_form(config, num_features=8, seed=0).double()
    loss = form.loss_d(features(64, 0), features(64, 1), NO_LABELS)
    expected = 0.1 * loss.report["r1"] + 0.3 * loss.report["r2"]
    torch.testing.assert_close(loss.penalty, expected)
    assert loss.report["r1"] > 0 and loss.report["r2"] > 0


@pytest.mark.parametrize("kind", ["graph", "per_sample"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_small_batches_and_duplicates_have_finite_gradients(kind, n):
    form = forms(kind)
    fake = torch.ones(n, 8, dtype=torch.float64, requires_grad=True)
    real, labels = features(n, 0), torch.zeros(n, dtype=torch.int64)
    loss = form.loss_d(real, fake, labels)
    (loss.adversarial + loss.penalty).backward()
    form.loss_g(real, fake, labels).backward()
    assert torch.isfinite(fake.grad).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in form.parameters())


def test_first_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = forms("graph").state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    for name, value in forms("graph").state_dict().items():
        assert torch.equal(value, first[name])


@pytest.mark.parametrize("kind", ["graph", "per_sample"])
def test_softening_scales_the_logits(kind):
    form, x = forms(kind), features(64, 0)
    before = form(x, NO_LABELS)
    form.soften(0.5)
    torch.testing.assert_close(form(x, NO_LABELS), 0.5 * before)


def test_edges_carry_their_length_in_units_of_real_ones():
    """With the nodes' own features hidden, what is left is length over unit."""
    form, x = forms("graph"), features(64, 0)
    with torch.no_grad():
        form.input.weight.zero_()
    form.calibrate(features(256, 1), 64)
    unit = form.unit.clone()
    before = form(x, NO_LABELS)
    assert not torch.allclose(form(2 * x, NO_LABELS), before)
    form.calibrate(2 * features(256, 1), 64)
    torch.testing.assert_close(form.unit, 4 * unit)
    torch.testing.assert_close(form(2 * x, NO_LABELS), before)
    fake = features(64, 2).requires_grad_()
    form.loss_g(x, fake, NO_LABELS).backward()
    assert fake.grad.norm() > 1e-6  # the denoiser can follow a length


def test_the_unit_is_that_of_graphs_as_large_as_those_played():
    """Neighbours in a large set are nearer: the unit must not come from another size."""
    form, real = forms("graph"), features(512, 1)
    found = {}
    for size in (16, 64, 500):
        form.calibrate(real, size)
        found[size] = form.unit.item()
    assert found[16] > found[64] > found[500] > 0


def test_equal_distributions_are_not_told_apart():
    """Nothing in the form says which set is the real one."""
    form = forms("graph")
    form.calibrate(features(2048, 1), 64)
    optimizer = torch.optim.Adam(form.parameters(), lr=3e-3, betas=(0.0, 0.99))
    accuracy = []
    for step in range(60):
        loss = form.loss_d(features(64, 10 + 2 * step), features(64, 11 + 2 * step), NO_LABELS)
        accuracy.append(loss.report["accuracy"].item())
        optimizer.zero_grad()
        (loss.adversarial + loss.penalty).backward()
        optimizer.step()
    assert abs(sum(accuracy[20:]) / 40 - 0.5) < 0.03


def test_gradients_do_not_vary_from_call_to_call_with_two_threads():
    form = make_form(DiscriminatorConfig(kind="graph", k=5), 500, 3)
    torch.manual_seed(0)
    real, fake = torch.randn(2, 64, 500)
    groups = torch.arange(64) % 10

    def gradients():
        result = form.loss_d(real, fake, groups)
        loss = result.adversarial + result.penalty
        found = torch.autograd.grad(loss, list(form.parameters()), allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = gradients()
        assert all(torch.equal(first, gradients()) for _ in range(20))
    finally:
        torch.set_num_threads(threads)
