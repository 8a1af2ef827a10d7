"""One of four gloo ranks that share images: RANK MEETING OUT. It draws the cases of a test."""

import random
import runpy
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from models.autoencoders.kl import KLAutoencoder
from models.bands.decoding import decode_in_bands
from models.bands.group import GroupBands
from sampling.band_plan import band_plan
from sampling.banded import BandedDenoiser
from sampling.config import SamplerConfig
from sampling.division import over_group
from sampling.generate import generate_batches
from sampling.request import GenerationRequest

NEARBY = runpy.run_path(str(Path(__file__).parents[1] / "models" / "bands" / "network.py"))
network, inputs = NEARBY["network"], NEARBY["inputs"]

SAMPLER = SamplerConfig(solver="heun", steps=3)
GUIDED = SAMPLER.model_copy(
    update={
        "guidance": SamplerConfig(guidance=({"kind": "classifier_free", "weight": 2.0},)).guidance
    }
)
DISPLACED = SamplerConfig(solver="heun", steps=3, bands={"count": 4, "warm_up": 1})
GUIDED_DISPLACED = GUIDED.model_copy(
    update={"bands": SamplerConfig(bands={"count": 2, "warm_up": 0}).bands}
)
INTERVAL = SamplerConfig(
    solver="heun",
    steps=4,
    guidance=(
        {"kind": "classifier_free", "weight": 2.0},
        {"kind": "interval", "sigma_lo": 0.01, "sigma_hi": 10.0},
    ),
    bands={"count": 2, "warm_up": 0},
)
CASES = {
    "interval": INTERVAL,
    "exact": SAMPLER,
    "guided": GUIDED,
    "displaced": DISPLACED,
    "guided displaced": GUIDED_DISPLACED,
}
LABELS = torch.tensor([0, 2, 3])


def draw(sampler: SamplerConfig, division=None) -> torch.Tensor:
    # Of three images in batches of two the last is alone, so its two sides are an even batch.
    request = GenerationRequest(
        sampler=sampler, seed=5, indices=range(3), labels=LABELS.numpy(), batch_size=2
    )
    return torch.cat(list(generate_batches(network(), request, division=division)))


def sleepy(method):
    """The method after a short sleep of random length, so that the ranks drift apart."""

    def slept(self, *args):
        time.sleep(random.random() * 0.002)
        return method(self, *args)

    return slept


def main() -> None:
    rank, meeting, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=4)
    random.seed(rank)
    for name in ("rows", "gather", "join"):
        setattr(GroupBands, name, sleepy(getattr(GroupBands, name)))
    results = {}
    for case, sampler in CASES.items():
        plan = band_plan(sampler, 4)
        assert plan is not None
        results[case] = draw(sampler, over_group(plan))
    exchange = GroupBands()
    exchange.begin(True)
    bands = BandedDenoiser(network(), exchange, warm_up=0)
    x, sigma, labels = inputs()
    results["float64"] = bands(x, sigma, labels)
    results["sent_bytes"] = exchange.sent_bytes
    results["again"] = bands(0.9 * x, 0.9 * sigma, labels)
    exchange.close()
    torch.manual_seed(0)
    decoder = KLAutoencoder(3, 4, 4, 8).double().eval().requires_grad_(False)
    latents = torch.randn(2, 4, 8, 5).double()
    results["decoded"] = decode_in_bands(decoder, latents, GroupBands(None, 9))
    results["decoded whole"] = decoder.decode(latents)
    torch.save(results, f"{out}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
