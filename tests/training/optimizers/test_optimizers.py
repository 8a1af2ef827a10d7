"""Optimisers against torch's own, and what forced weight normalisation makes of decay."""

import copy

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.cross_attention import CrossAttention
from models.layers.magnitude_preserving import MPConv
from training.config import TrainConfig
from training.optimizers import make_optimizer
from training.optimizers.matrices import Matrix, hidden_matrices, orthogonal
from training.optimizers.muon import Muon

SMALL = ModelConfig(
    channels=16, channel_mult=(1, 2), blocks=1, attention_resolutions=(8,), adapter_rank=0
)


def network():
    torch.manual_seed(0)
    made = Denoiser((1, 8, 8), 3, SMALL)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 0:
                parameter.fill_(0.5)
    return made


def push(made, seed):
    """A gradient for each parameter that depends on the seed alone."""
    random = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=random)


def optimizer(made, **train):
    return make_optimizer(made, [{"params": list(made.parameters())}], TrainConfig(**train))


def test_adam_is_torchs_bit_for_bit():
    ours, theirs = network(), network()
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.9, 0.99))
    made = optimizer(ours)
    for step in range(3):
        for one, by in ((ours, made), (theirs, adam)):
            push(one, step)
            by.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_decay_of_normalised_rows_is_a_higher_rate():
    """AdamW with rate lr and decay d, normalised, is Adam with lr / (1 - lr d); gains do decay."""
    lr, decay = 0.1, 0.5
    decayed, plain, other = network().double(), network().double(), network().double()
    players = (
        (decayed, optimizer(decayed, optimizer="adamw", lr=lr, weight_decay=decay)),
        (plain, optimizer(plain, lr=lr / (1 - lr * decay))),
        (other, optimizer(other, lr=lr)),
    )
    for one, by in players:
        for parameter in one.parameters():
            parameter.grad = torch.sin(torch.arange(parameter.numel()).double()).view_as(parameter)
        by.step()
        one.normalize_weights()
    rows = [name for name, p in decayed.named_parameters() if p.ndim >= 2]
    assert len(rows) > 10
    for name in rows:
        a, b, c = (dict(one.named_parameters())[name] for one, _ in players)
        assert (a - b).abs().max() < 1e-12, name
        assert (a - c).abs().max() > 1e-4, name
    gain = "unet.output_gain"
    a, b = (float(dict(one.named_parameters())[gain]) for one in (decayed, other))
    assert b - a == pytest.approx(0.5 * lr * decay, rel=1e-6)


@pytest.mark.parametrize("shape", [(24, 24), (16, 144), (144, 16)])
def test_singular_values_come_near_one(shape):
    """All of wide matrices; square ones have some that are nearly 0 and grow too slowly."""
    torch.manual_seed(0)
    found = torch.linalg.svdvals(orthogonal(torch.randn(3, *shape)))
    assert found.max() < 1.25 and found.quantile(0.1) > 0.65
    assert found.min() > (0.1 if shape[0] == shape[1] else 0.65)


def test_matrices_of_one_shape_are_made_orthogonal_as_each_alone():
    torch.manual_seed(1)
    several = torch.randn(4, 16, 40)
    together = orthogonal(several)
    for number in range(4):
        torch.testing.assert_close(
            together[number], orthogonal(several[number : number + 1])[0], rtol=1e-4, atol=1e-5
        )


def test_muon_follows_torchs_muon():
    """To the rounding of bf16, in which torch orthogonalises: a hundredth of a step or so."""
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.eye(24, 40)) for _ in range(2))
    made = Muon([{"params": [ours]}], [Matrix(ours)], lr=0.1)
    other = torch.optim.Muon(
        [theirs], lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", momentum=0.95
    )
    random = torch.Generator().manual_seed(3)
    for _ in range(4):
        before = ours.detach().clone()
        ours.grad = torch.randn(24, 40, generator=random)
        theirs.grad = ours.grad.clone()
        made.step()
        other.step()
    step = (ours - before).norm()
    assert (ours - theirs).norm() < 0.05 * step
    assert float((ours - before).square().mean().sqrt()) == pytest.approx(0.1 * 0.2, rel=0.2)


def test_a_convolution_moves_as_its_flattened_matrix_and_fused_maps_apart():
    torch.manual_seed(0)
    weight = torch.randn(24, 8, 3, 3)
    gradient = torch.randn(24, 8, 3, 3)
    fused = torch.nn.Parameter(weight.clone())
    fused.grad = gradient
    Muon([{"params": [fused]}], [Matrix(fused, maps=3)], lr=0.1).step()
    for number in range(3):
        part = torch.nn.Parameter(weight.flatten(1)[number::3].clone())
        part.grad = gradient.flatten(1)[number::3]
        Muon([{"params": [part]}], [Matrix(part)], lr=0.1).step()
        torch.testing.assert_close(
            fused.detach().flatten(1)[number::3], part.detach(), rtol=1e-4, atol=1e-5
        )


def test_keys_and_values_of_a_text_lie_one_after_another():
    """As cross-attention takes them apart: [..., 2, heads, each]."""
    torch.manual_seed(0)
    layer = CrossAttention(8, heads=2, width=6)
    network = torch.nn.ModuleDict({"text": layer})
    (matrix,) = [m for m in hidden_matrices(network) if m.parameter is layer.key_value.weight]
    keys, values = matrix.parts(torch.arange(16.0)[:, None].expand(16, 6))
    assert keys[:, 0].tolist() == list(range(8)) and values[:, 0].tolist() == list(range(8, 16))


def test_an_adapter_does_not_decay():
    made = network()
    own, adapter = list(made.parameters())[:-1], list(made.parameters())[-1:]
    groups = [{"params": own}, {"params": adapter}]
    adamw = make_optimizer(made, groups, TrainConfig(optimizer="adamw", weight_decay=0.5))
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.5, 0.0]


def test_the_ends_of_the_network_and_gains_stay_with_adam():
    made = network()
    muon = optimizer(made, optimizer="muon", lr=0.02)
    names = {id(p): n for n, p in made.named_parameters()}
    of_adam = {names[id(p)] for group in muon.adam.param_groups for p in group["params"]}
    of_muon = {names[i] for i in muon.matrices}
    assert of_adam.isdisjoint(of_muon) and of_adam | of_muon == set(names.values())
    assert {"unet.input.weight", "unet.output.weight", "unet.label_embedding.weight"} <= of_adam
    assert {n for n, p in made.named_parameters() if p.ndim == 0} <= of_adam
    fused = {names[i]: m.maps for i, m in muon.matrices.items() if m.maps > 1}
    assert fused and set(fused.values()) == {3} and all("qkv" in name for name in fused)
    every = [m for m in made.modules() if isinstance(m, MPConv)]
    assert len(of_muon) == len(list(hidden_matrices(made))) == len(every) - 4


def test_a_rate_of_zero_moves_nothing_and_each_group_has_its_own():
    made = network()
    parameters = list(made.parameters())
    groups = [{"params": parameters[:20]}, {"params": parameters[20:]}]
    muon = make_optimizer(made, groups, TrainConfig(optimizer="muon"))
    muon.param_groups[1]["lr"] = 0.0
    before = [p.detach().clone() for p in parameters]
    push(made, 0)
    muon.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, parameters, strict=True)]
    assert all(moved[:20]) and not any(moved[20:])


def test_a_saved_state_goes_on_bit_for_bit():
    whole = network()
    muon = optimizer(whole, optimizer="muon")
    for step in range(2):
        push(whole, step)
        muon.step()
    other = copy.deepcopy(whole)
    resumed = optimizer(other, optimizer="muon")
    resumed.load_state_dict(copy.deepcopy(muon.state_dict()))
    for one, by in ((whole, muon), (other, resumed)):
        for step in range(2, 4):
            push(one, step)
            by.step()
    for a, b in zip(whole.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    adam = optimizer(network())
    for parameter in adam.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    with pytest.raises(ValueError, match="no state of Muon"):
        resumed.load_state_dict(adam.state_dict())
