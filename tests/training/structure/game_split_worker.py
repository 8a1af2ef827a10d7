"""One of the two workers of test_game_split.py: `python game_split_worker.py RANK FOLDER`.

Plays the same game on the same global batch of 64: whole, accumulated from micro-batches, and split
over both workers. Each worker saves summed gradients, lambda and discriminator of its cases.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from game_toys import ConvDenoiser, FloatCodec, random_images
from torch import Tensor

from foundation.workers import World
from models.config import ModelConfig
from models.denoiser import Denoiser
from training.structure.config import StructureConfig
from training.structure.game import StructureGame
from training.structure.gate import Gate

BATCH = 64
RECENT = {"opponent_steps": 4, "recent_plays": 2}
PATH = {"gradient_steps": 2}
BANKS = ("tangent", "two_bank", "fd")
PRECISIONS = ((torch.float64, 2), (torch.float32, 1))  # and plays


class OpenGate(Gate):
    """Open from the first play."""

    reason = ""


class OwnSlice(World):
    """Sabotage: the usual shortcut. The gradient of the own slice, averaged like DDP's."""

    def all_reduce_sum_(self, tensor: Tensor) -> Tensor:
        return super().all_reduce_sum_(tensor).div_(self.size)


class OwnGraph(World):
    """Sabotage: every worker makes a graph of its own share only."""

    def all_gather(self, tensor: Tensor) -> Tensor:
        return tensor.detach()

    def share(self, count: int) -> slice:
        return slice(0, count) if count < BATCH else super().share(count)

    def all_reduce_sum_(self, tensor: Tensor) -> Tensor:
        return super().all_reduce_sum_(tensor).div_(self.size)


def case(
    world: World,
    kind: str,
    fakes: str,
    dtype: torch.dtype,
    micro: int | None,
    plays: int,
    rank: int = 0,
    **settings,
):
    data = random_images()
    torch.manual_seed(0)
    if dtype == torch.float64:
        denoiser = ConvDenoiser().double()
    else:
        config = ModelConfig(
            channels=8, structural_blocks=(), attention_resolutions=(), adapter_rank=rank
        )
        denoiser = Denoiser(data.image_shape, data.num_classes, config, FloatCodec())
        torch.nn.init.constant_(denoiser.unet.output_gain, 0.5)
    structure = StructureConfig(
        kind=kind,
        fakes=fakes,
        k=5,
        width=16,
        statistics_images=100,
        lambda_cap=1e6,
        **settings,
    )
    game = StructureGame(structure, denoiser, batch_size=BATCH, world=world, seed=3)
    game.gate = OpenGate(structure.gate)
    game.open(0, denoiser, data)
    edges = []
    if kind == "graph":
        find = game.opponent.form.edges
        game.opponent.form.edges = lambda features: edges.append(find(features)) or edges[-1]
    weights, summed, first = [], [], None
    for play in range(plays):
        denoise_grad = torch.linspace(-1, 1, denoiser.output_conv_weight.numel(), dtype=dtype)
        batch = game.draw(data, play * BATCH)
        gradients, logs = game.play(
            denoiser, batch, micro, denoise_grad.view_as(denoiser.output_conv_weight)
        )
        weights.append(logs["structure/lambda"])
        summed = []
        for parameter, gradient in zip(denoiser.parameters(), gradients, strict=True):
            if gradient is not None:
                world.all_reduce_sum_(gradient)
                summed.append(gradient.reshape(-1))
                # A step, so that later plays see the consequences of earlier ones.
                parameter.data -= 0.01 * gradient
        if first is None:  # without lambda, which would undo a mere scale
            first = torch.cat(summed) / weights[0]
    return {
        "gradient": torch.cat(summed),
        "first": first,
        "lambda": weights,
        "discriminator": torch.cat(
            [torch.ones(1), *(p.detach().reshape(-1) for p in game.opponent.form.parameters())]
        ),
        "edges": edges,
    }


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    kind = ("graph", "affinity")[rank]  # the cases without company are shared out
    results = {}
    for dtype, plays in PRECISIONS:
        for split, micro in (("whole", None), ("accumulated", 16)):
            results[f"{kind}/{dtype}/{split}"] = case(World(), kind, "onestep", dtype, micro, plays)
    if rank == 1:
        results["onpolicy/whole"] = case(World(), "graph", "onpolicy", torch.float64, 24, 1)
        results["path/whole"] = case(World(), "graph", "onpolicy", torch.float64, 24, 1, **PATH)
        results["deployed/whole"] = case(World(), "graph", "deployed", torch.float64, 24, 1)
        results["renoise/whole"] = case(World(), "graph", "renoise", torch.float64, 24, 1)
        results["recent/whole"] = case(World(), "graph", "onestep", torch.float64, 24, 3, **RECENT)
        for kind in BANKS:
            results[f"{kind}/whole"] = case(
                World(), kind, "onestep", torch.float64, 24, 3, **RECENT
            )
        results["adapter/whole"] = case(World(), "graph", "deployed", torch.float32, 24, 1, rank=2)

    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    world = World.current("cpu")
    for kind in ("graph", "affinity"):
        for dtype, plays in PRECISIONS:
            results[f"{kind}/{dtype}/workers"] = case(world, kind, "onestep", dtype, None, plays)
        for sabotage in (OwnSlice, OwnGraph):
            other = sabotage(world.rank, world.size, world.device)
            results[f"{kind}/{sabotage.__name__}"] = case(
                other, kind, "onestep", torch.float64, None, 1
            )
    # On-policy fakes: the sampler's path is drawn slot by slot.
    results["onpolicy/workers"] = case(world, "graph", "onpolicy", torch.float64, None, 1)
    results["path/workers"] = case(world, "graph", "onpolicy", torch.float64, None, 1, **PATH)
    results["deployed/workers"] = case(world, "graph", "deployed", torch.float64, None, 1)
    results["renoise/workers"] = case(world, "graph", "renoise", torch.float64, None, 1)
    results["recent/workers"] = case(world, "graph", "onestep", torch.float64, None, 3, **RECENT)
    for kind in BANKS:
        results[f"{kind}/workers"] = case(world, kind, "onestep", torch.float64, None, 3, **RECENT)
    results["adapter/workers"] = case(world, "graph", "deployed", torch.float32, None, 1, rank=2)
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
