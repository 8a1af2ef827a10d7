"""A player: a network with its optimiser, its learning rates and its clipping."""

import pytest
import torch

from training.players import Player


def test_clipping_an_adapters_gradient_leaves_the_denoisers_alone():
    plain, adapter = (torch.nn.Parameter(torch.zeros(4)) for _ in range(2))
    optimizer = torch.optim.Adam([{"params": [plain]}, {"params": [adapter]}])
    player = Player(torch.nn.Identity(), optimizer, rates={}, clip=1.0)
    plain.grad, adapter.grad = torch.full((4,), 0.25), torch.full((4,), 300.0)
    assert player.clip_gradients() == pytest.approx((0.5**2 + 600.0**2) ** 0.5)
    assert torch.equal(plain.grad, torch.full((4,), 0.25))
    assert adapter.grad.norm().item() == pytest.approx(1.0, rel=1e-5)
    adapter.grad = None  # a step without a play
    assert player.clip_gradients() == pytest.approx(0.5)
