"""Measures training and sampling on a CUDA card: images a second, memory, utilisation, ratios.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --device cpu --small --no-results    # tries the script without a card

Needs nothing but the checkout; peers that are not installed are named and left out. First our
training step and our forward pass in fp32, in bf16, in channels_last and with the repeated parts
compiled; then the ratios of `python -m benchmarks.run` in the last of these ways (on a processor in
the first). Utilisation is counted operations a second by those of a large product of matrices on
the same card. All goes into benchmarks/results.json under the card's name, after each part.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.side_by_side import Row, machine

if TYPE_CHECKING:
    from benchmarks.peers.place import Place
    from models.config import ModelConfig

SHAPE = (3, 32, 32)
SECONDS = 3.0
"""How long each speed is measured at least."""
PRODUCT = {"cuda": 8192, "cpu": 512}
"""Side of the matrices whose product tells what the device can do."""


def places(device: str) -> "dict[str, Place]":
    """The ways to compute, each with one thing more than the one before."""
    from benchmarks.peers.place import Place

    return {
        "fp32": Place(device),
        "bf16": Place(device, bf16=True),
        "bf16, channels_last": Place(device, bf16=True, channels_last=True),
        "bf16, channels_last, compiled": Place(device, True, True, True),
    }


def network(small: bool) -> "tuple[ModelConfig, int]":
    """The network of presets/cifar10.yaml without what no peer has, and images of a batch."""
    from benchmarks.peers.networks import MODEL
    from pipelines.params import load_params

    if small:
        return MODEL.model_copy(update={"channels": 16, "channels_per_head": 8, "blocks": 1}), 2
    plain = {"structural_blocks": (), "class_conditional": False, "adapter_rank": 0, "dropout": 0.0}
    return load_params("presets/cifar10.yaml").model.model_copy(update=plain), 256


def speeds(name: str, place: "Place", config: "ModelConfig", batch: int) -> Iterator[Row]:
    """A row of our training step and one of our forward pass."""
    import torch

    from benchmarks.peers.networks import our_network, our_size
    from benchmarks.peers.our_training import made_up_images, our_step, settings_of
    from sampling.drawing.networks import evaluating

    flop = our_size(config, SHAPE).forward
    with TemporaryDirectory() as folder:
        settings = settings_of(config, batch, bf16=place.bf16)
        step = our_step(settings, made_up_images(Path(folder), SHAPE), place)
        yield measured(f"training step, {name}", step, place, batch, 3 * flop)
    denoiser = our_network(config, SHAPE)
    place.put(denoiser, place.channels_last)
    noisy = torch.randn(batch, *SHAPE, device=place.device)
    sigma = torch.ones(batch, device=place.device)

    def forward() -> None:
        with place.autocast():
            denoiser(noisy, sigma)

    with torch.no_grad(), evaluating(denoiser):
        yield measured(f"forward pass, {name}", forward, place, batch, flop)


def measured(what: str, work: Callable[[], object], place: "Place", batch: int, flop: float) -> Row:
    """Images a second of work over a batch, with memory and utilisation in the note.

    flop: counted operations of one image.
    """
    import torch

    on_gpu = place.device == "cuda"
    for _ in range(3):  # the first compiles, and chooses kernels
        work()
    place.finished()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS or count < 2:
        work()
        place.finished()
        count += 1
    speed = count * batch / (time.perf_counter() - begin)
    reached = flop * speed / product_flops(place)
    note = f"batch {batch}; {reached:.0%} of the operations that a product of matrices reaches"
    if on_gpu:
        note += f"; {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB"
    return Row(what, speed, note=note, unit="images/s")


def product_flops(place: "Place") -> float:
    """Operations a second of a product of large matrices in the place's precision."""
    import torch

    side = PRODUCT[place.device]
    dtype = torch.bfloat16 if place.bf16 else torch.float32
    one = torch.randn(side, side, device=place.device, dtype=dtype)
    one @ one
    place.finished()
    begin, count = time.perf_counter(), 10
    for _ in range(count):
        one @ one
    place.finished()
    return 2 * side**3 * count / (time.perf_counter() - begin)


def ratios(place: "Place", config: "ModelConfig", batch: int) -> Iterator[tuple[str, list[Row]]]:
    """(what, rows) of each benchmark that `python -m benchmarks.run` has for a processor."""
    from benchmarks.peers import averages, network_forward, network_step, sampler, whole_trainer

    of_network = (place, config, SHAPE, batch)
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "step": lambda: network_step.rows_on(*of_network),
        "forward": lambda: network_forward.rows_on(*of_network),
        "trainer": lambda: whole_trainer.rows_on(*of_network),
        "averages": lambda: averages.rows_on(place, config, SHAPE),
        "sampler": lambda: sampler.rows_on(*of_network, images=2 * batch),
    }
    for name, part in parts.items():
        yield name, guarded(name, part)


def guarded(name: str, part: Callable[[], Iterator[Row]]) -> list[Row]:
    """The rows of a part; of one that fails, what it said, and the others go on."""
    try:
        return list(part())
    except RuntimeError as error:  # out of memory, a compiler that is missing
        said = str(error).strip().splitlines() or [type(error).__name__]
        return [Row(name, 0.0, note=f"failed: {said[0][:200]}", unit="")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="a network of seconds on a processor")
    parser.add_argument("--batch", type=int, help="images of a batch (default: 256, small: 2)")
    parser.add_argument("--no-results", action="store_true", help="add nothing to results.json")
    args = parser.parse_args()
    if args.batch is not None and args.batch < 1:
        parser.error("--batch is at least 1")
    import torch
    from rich.console import Console

    from benchmarks.run import keep, table_of

    if args.device == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA GPU here, so nothing is measured (--device cpu tries the script)")
        return
    card = torch.cuda.get_device_name() if args.device == "cuda" else "a processor"
    config, batch = network(args.small)
    batch, about, rows = args.batch or batch, machine() | {"gpu": card}, list[Row]()
    ways = places(args.device)

    def tell(what: str, found: list[Row]) -> None:
        Console().print(table_of(f"{card}: {what}", found, about))
        rows.extend(found)
        if not args.no_results:
            keep(f"gpu: {card}", rows, about)

    for name, place in ways.items():
        tell(name, guarded(name, partial(speeds, name, place, config, batch)))
    best = list(ways.values())[-1 if args.device == "cuda" else 0]
    for name, found in ratios(best, config, batch):
        tell(name, found)


if __name__ == "__main__":
    main()
