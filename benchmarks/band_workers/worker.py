"""One of two one-thread processes that share images: RANK MEETING OUT ROUNDS (benchmarks/bands.py).

Rank 0 writes the seconds of an evaluation, by way and round, as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist

from benchmarks.band_workers.slow_link import SlowLink
from models.bands.group import GroupBands
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.prepared_weights import weights_prepared
from sampling.band_cost import Link, measure_band
from sampling.banded import BandedDenoiser

MODEL = ModelConfig(
    channels=64,
    channel_mult=(1, 2, 2),
    blocks=2,
    attention_resolutions=(32,),
    class_conditional=False,
)
SIDE = 128
EVALUATIONS = 4
LINK = Link(latency=2e-3, bandwidth=100e6)


def network() -> Denoiser:
    torch.manual_seed(0)
    denoiser = Denoiser((3, SIDE, SIDE), 0, MODEL).eval().requires_grad_(False)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.7)
    return denoiser


def work() -> None:
    rank, meeting, out, rounds = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    whole = network()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    sigma = torch.full((1,), 3.0)
    exchanges = [GroupBands(None, 0), GroupBands(None, 1), SlowLink(LINK, 2), SlowLink(LINK, 3)]
    exact, displaced, far, far_displaced = (
        BandedDenoiser(whole, exchange, warm_up)
        for exchange, warm_up in zip(exchanges, (None, 0, None, 0), strict=True)
    )

    def evaluations(denoiser: torch.nn.Module, both: bool = True) -> float:
        """Seconds of an evaluation; not both: by rank 0 alone, while rank 1 waits."""
        if not both and rank:
            return 0.0
        if isinstance(denoiser, BandedDenoiser):
            denoiser.restart()
            denoiser(x, sigma)  # the first one is fresh
        start = time.perf_counter()
        for number in range(EVALUATIONS):
            denoiser(x, sigma * 0.9**number)
        return (time.perf_counter() - start) / EVALUATIONS

    def two_threads() -> float:
        torch.set_num_threads(2)
        seconds = evaluations(whole, both=False)
        torch.set_num_threads(1)
        return seconds

    def predicted(shifted: bool) -> float:
        cost = measure_band(whole, 2, x, sigma, repeats=EVALUATIONS)
        return cost.calibrated(evaluations(exact)).seconds(LINK, displaced=shifted)

    ways: dict[str, Callable[[], float]] = {
        "alone": lambda: evaluations(whole, both=False),
        "two threads": two_threads,
        "apart": lambda: evaluations(whole),
        "exact": lambda: evaluations(exact),
        "displaced": lambda: evaluations(displaced),
        "exact, link": lambda: evaluations(far),
        "displaced, link": lambda: evaluations(far_displaced),
        "exact, link, predicted": lambda: predicted(False),
        "displaced, link, predicted": lambda: predicted(True),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad(), weights_prepared([whole]):
        for round_ in range(-1, rounds):  # the first round warms up
            for name in list(ways)[:: 1 if round_ % 2 else -1]:
                dist.barrier()
                seconds = ways[name]()
                if round_ >= 0:
                    taken[name].append(seconds)
    for exchange in exchanges:
        exchange.close()
    if rank == 0:
        parameters = sum(p.numel() for p in whole.parameters())
        out.write_text(json.dumps({"seconds": taken, "parameters": parameters}))
    dist.destroy_process_group()
