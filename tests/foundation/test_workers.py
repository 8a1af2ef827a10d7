from pathlib import Path
from runpy import run_path

import pytest
import torch

from foundation.workers import World

run_ranks = run_path(str(Path(__file__).parents[1] / "gloo_ranks.py"))["run_ranks"]

WORKER = """
import sys
import torch, torch.distributed as dist
from torch import nn
from foundation.workers import World

rank, meeting = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
world = World.current()
assert (world.rank, world.size, world.device.type) == (rank, 2, "cpu")
assert world.share(6) == slice(3 * rank, 3 * rank + 3)
whole = torch.arange(12.0, dtype=torch.float64).reshape(6, 2)

own = whole[world.share(6)].clone().requires_grad_()
gathered = world.all_gather(own)
assert torch.equal(gathered, whole) and not gathered.requires_grad

total = world.all_reduce_sum_(torch.full((2,), rank + 1.0))
assert total.tolist() == [3.0, 3.0]
assert world.broadcast_(torch.tensor([rank + 5.0])).item() == 5.0

# Gradients of several shapes and dtypes; one is absent on one rank.
parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4).double()),
              nn.Parameter(torch.zeros(1))]
parameters[0].grad = torch.full((2, 3), rank + 1.0)
parameters[1].grad = torch.arange(4.0).double()
if rank:
    parameters[2].grad = torch.tensor([7.0])
world.all_reduce_gradients(parameters)
assert parameters[0].grad.tolist() == [[3.0] * 3] * 2
assert parameters[1].grad.tolist() == [0.0, 2.0, 4.0, 6.0]
assert parameters[2].grad.tolist() == [7.0]
world.barrier()
dist.destroy_process_group()
"""


def test_two_workers(tmp_path):
    run_ranks(["-c", WORKER], 2, tmp_path / "meeting", timeout=120)


def test_alone_every_exchange_is_the_identity():
    world = World.current(device="cpu")
    assert (world.rank, world.size) == (0, 1)
    x = torch.randn(3, 2, requires_grad=True)
    assert torch.equal(world.all_gather(x), x) and torch.equal(world.broadcast_(x), x)
    world.all_reduce_gradients([torch.nn.Parameter(x)])
    world.barrier()
    assert world.share(7) == slice(0, 7)


@pytest.mark.parametrize("count, mend", [(100, "use 96 or 104"), (3, "use 8")])
def test_an_uneven_batch_is_refused_with_the_mend(count, mend):
    with pytest.raises(ValueError, match=mend):
        World(0, 8).share(count)
