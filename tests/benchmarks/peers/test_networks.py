"""Networks of equal operations: the count, the search, and steps and passes of all of them."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks import side_by_side
from benchmarks.peers import network_forward, network_step, networks, sampler
from benchmarks.peers.place import Place, compile_regions
from models.config import ModelConfig
from models.denoiser import Denoiser

SHAPE = (3, 8, 8)
TINY = ModelConfig(
    channels=16,
    channel_mult=(1,),
    blocks=1,
    attention_resolutions=(),
    structural_blocks=(),
    class_conditional=False,
)


class Wide(nn.Module):
    """A peer's network: two convolutions."""

    def __init__(self, width):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 1)

    def forward(self, x, level):
        assert level.ndim < 2
        return SimpleNamespace(sample=self.last(self.first(x)))


class Pair(Wide):
    def forward(self, x, level):
        return (super().forward(x, level).sample,)


@pytest.fixture
def peers(monkeypatch):
    """Stand-ins for the peers; their caches are emptied."""
    fake = SimpleNamespace(UNet2DModel=lambda block_out_channels, **_: Pair(block_out_channels[0]))
    monkeypatch.setitem(sys.modules, "diffusers", fake)
    monkeypatch.setitem(sys.modules, "denoising_diffusion_pytorch", None)
    networks.diffusers_peer.cache_clear()
    networks.lucidrains_peer.cache_clear()
    yield fake
    networks.diffusers_peer.cache_clear()


def test_operations_of_a_convolution():
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3, padding=1, bias=False)

        def forward(self, x, sigma):
            return self.conv(x)

    size = networks.size_of(Alone, SHAPE)
    assert size.parameters == 5 * 3 * 9
    assert size.forward == 2 * 5 * 3 * 9 * 64


def test_a_peer_has_the_width_whose_operations_are_nearest_to_ours(peers):
    wanted = networks.our_size(TINY, SHAPE).forward
    found = networks.diffusers_peer(TINY, SHAPE).size
    of_width = {8 * n: 2 * 64 * (27 + 3) * 8 * n for n in range(1, 200)}
    assert found.forward == min(of_width.values(), key=lambda flop: abs(flop - wanted))
    assert abs(found.forward / wanted - 1) < 0.2


def test_preconditioning_is_that_of_our_denoiser():
    ours = networks.our_network(TINY, SHAPE)
    x, sigma = torch.randn(2, *SHAPE), torch.tensor([0.3, 5.0])

    def inner(x, level):
        return ours.unet.decode(ours.unet.encode(x, level, None))

    alike = networks.Preconditioned(inner, 0.5)
    torch.testing.assert_close(alike(x, sigma), ours(x, sigma), rtol=1e-4, atol=1e-4)


def test_steps_and_passes_beside_a_peer_and_without_another(peers, monkeypatch):
    for module in (network_step, network_forward):
        monkeypatch.setattr(module, "ROUNDS", 2)
        beside, without = module.rows_on(Place(), TINY, SHAPE, 2)
        assert beside.peer == "diffusers" and beside.ratio > 0
        assert "contiguous" in beside.note or "channels_last" in beside.note
        assert networks.our_size(TINY, SHAPE).told in beside.note
        assert "denoising_diffusion_pytorch is not installed" in without.note
        assert without.ours > 0 and without.ratio is None


def test_a_step_of_a_peer_trains_it():
    network = networks.Preconditioned(Pair(8), 0.5)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    network_step.peer_step(network, Place(), SHAPE, 4, 0.5)()
    moved = [bool((a != b).any()) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(moved)


def test_as_many_evaluations_of_a_peer_as_of_ours(peers, monkeypatch):
    calls = {"ours": 0, "theirs": 0}

    def count(which, forward):
        def counted(self, x, *rest):
            calls[which] += len(x)
            return forward(self, x, *rest)

        return counted

    monkeypatch.setattr(Denoiser, "forward", count("ours", Denoiser.forward))
    monkeypatch.setattr(Wide, "forward", count("theirs", Wide.forward))

    class Euler:
        init_noise_sigma = 80.0

        def set_timesteps(self, steps, device):
            self.timesteps = torch.linspace(1, 0.1, steps)

        def scale_model_input(self, x, level):
            return x

        def step(self, raw, level, x):
            return SimpleNamespace(prev_sample=x - 0.01 * raw)

    peers.EDMEulerScheduler = Euler
    draw = sampler.edm_euler(networks.Preconditioned(Wide(8), 0.5), Place(), SHAPE, 2, 3, 5)
    draw()
    assert calls["theirs"] == 3 * 5
    config = sampler.SamplerConfig(solver="heun", grid="karras", steps=3)
    sampler.generate(networks.our_network(TINY, SHAPE), config, 0, range(3), batch_size=2)
    assert calls["ours"] == 3 * config.nfe == 3 * 5


def test_speed_of_drawing_is_told():
    row = side_by_side.Row("x", 2.0, "y", 4.0, 0.5, note="z")
    assert sampler.row_with_speed(row, 8).note == "4.00 images/s beside 2.00; z"


def test_parts_that_repeat_are_compiled_and_no_others(monkeypatch):
    asked = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: asked.append(self))
    ours = networks.our_network(TINY, SHAPE)
    count = compile_regions(ours)
    blocks = [*ours.unet.encoder, *ours.unet.middle, *ours.unet.decoder]
    assert count == len(asked) == len(blocks) > 0
    assert {id(part) for part in asked} == {id(block) for block in blocks}
