"""What bands of an image would gain on 2, 4 and 8 devices: predicted, not measured.

One band is timed layer by layer on this machine's device, a GPU where there is one, and the links
are assumed from datasheets (sampling/band_cost.py). What a prediction is worth, benchmarks/bands.py
tells: there two workers are timed beside it.
"""

import statistics
import time
from collections.abc import Iterator

from benchmarks.side_by_side import Row

EVALUATIONS, WARM_UP = 35, 1
REPEATS = 5


def rows() -> Iterator[Row]:
    """Of one image of 128x128 in 35 evaluations, seconds beside those of one worker."""
    import torch

    from benchmarks.band_workers.worker import SIDE, network
    from models.layers.prepared_weights import weights_prepared
    from sampling.band_cost import NVLINK, PCIE, measure_band

    device = "cuda" if torch.cuda.is_available() else "cpu"
    whole = network().to(device)
    x, sigma = torch.randn(1, 3, SIDE, SIDE, device=device), torch.ones(1, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), weights_prepared([whole]):
            _seconds(whole, x, sigma)
            each = statistics.median(_seconds(whole, x, sigma) for _ in range(REPEATS))
            alone = EVALUATIONS * each
            for count in (2, 4, 8):
                cost = measure_band(whole, count, x, sigma, repeats=REPEATS)
                for name, link in (("NVLink", NVLINK), ("PCIe", PCIE)):
                    for mode, warm_up in (("exact", None), ("displaced", WARM_UP)):
                        seconds = cost.image_seconds(link, EVALUATIONS, warm_up)
                        yield Row(
                            f"{count} workers, {name}, {mode}",
                            seconds,
                            "one worker",
                            alone,
                            seconds / alone,
                            note=f"predicted, layers of a {device}",
                        )
    finally:
        torch.set_num_threads(threads)


def _seconds(denoiser, x, sigma) -> float:
    import torch

    if x.device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    denoiser(x, sigma)
    if x.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
