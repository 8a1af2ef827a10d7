"""Measures the seconds of single steps, with this network, batch and precision, on this machine."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dataset.store import ImageDataset
from discriminators.forms import BESIDE_A_BANK
from pipelines.forecast.disk_use import sizes
from pipelines.forecast.duration import Costs
from pipelines.forecast.stand_in import write_teacher
from sampling.config import SamplerConfig
from training.run_settings import RunSettings

if TYPE_CHECKING:
    import torch

BUDGET_S = 4.0
"""Seconds that the timed steps should take; a slow network is measured on fewer images."""
FEW = 2
"""Images of the first steps, which tell how many can be afforded."""
ROUNDS = 2
SLOW_S = 1.0
"""A call that takes longer is repeated once only."""
STEPS = 12
"""A measurement takes about as long as so many steps, plays included."""
SAMPLED = 200
"""Steps of a method that are asked which players move; students and critics take turns."""
NEVER = 1e9
"""structure.start_kimg until the game is opened."""


@dataclass(frozen=True)
class Measured:
    """What a measurement found."""

    costs: Costs
    checkpoint_bytes: int
    parameter_bytes: int
    image_bytes: int = 0
    """Of one image in float32, as a teacher's pairs are kept."""


def measure(
    settings: RunSettings,
    dataset: ImageDataset,
    workers: int,
    device: "torch.device",
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Train a throw-away network for a few steps on a worker's share of the batch.

    A student learns from an untrained teacher here, which costs the same. Its step is the mean of
    those with the critic alone and those with both, as often as each occurs.

    Args:
        dataset: its images' shape counts, its pixels do not.
        workers: that share the batch on this machine; on processors each has its share of threads.
        clock: in seconds; time.process_time leaves out what other processes take.

    Raises ValueError for settings that do not fit each other, as training would.
    """
    share = max(1, settings.train.batch_size // workers)
    fakes = max(2, (settings.structure.batch_size or settings.train.batch_size) // workers)
    threads = max(1, (os.cpu_count() or 1) // workers)
    with _threads(threads if device.type == "cpu" else None):
        trial = Trial(settings, dataset, device, clock)
        step, images, affordable = _step_seconds(trial, share)
        play = 0.0
        if trial.game is not None:
            some = min(fakes, affordable)
            without = trial.time(lambda: trial.step(images, 0))
            trial.open(some)
            with_play = trial.time(lambda: trial.step(images, 0))
            play = max(0.0, with_play - without) * fakes / some
        # Held-out images and previews are computed without gradient.
        pictures = min(affordable, 64)
        forward = trial.time(lambda: trial.evaluate(pictures)) / pictures
    held_out = 0 if settings.student else 2 * settings.train.held_out_images
    costs = Costs(
        step=step,
        play=play,
        held_out=held_out * forward / workers,
        evaluation=forward / workers,
    )
    return Measured(costs, *trial.sizes())


def step_seconds(
    settings: RunSettings,
    dataset: ImageDataset,
    workers: int,
    device: "torch.device",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of an optimiser step on a worker's share of the batch, of any method.

    For the arguments see `measure`.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    with _threads(threads if device.type == "cpu" else None):
        trial = Trial(settings, dataset, device, clock)
        return _step_seconds(trial, max(1, settings.train.batch_size // workers))[0]


def _step_seconds(trial: "Trial", share: int) -> tuple[float, int, int]:
    """(seconds of a step over `share` images, images that were timed, images that are affordable).

    From two numbers of images, since part of a step does not depend on them.
    """
    few = min(share, FEW)
    first = trial.mean_step(few)
    steps = STEPS * max(1.0, len(trial.kinds(few)) / 2)
    affordable = max(2 * FEW, int(few * BUDGET_S / steps / max(first, 1e-9)))
    images = min(share, affordable)
    step = trial.mean_step(images)
    if images > few:
        step += max(0.0, step - first) / (images - few) * (share - images)
    return step, images, affordable


class Trial:
    """A throw-away run, whose numbers of images per step and per play may be chosen."""

    def __init__(
        self,
        settings: RunSettings,
        dataset: ImageDataset,
        device: "torch.device",
        clock: Callable[[], float] = time.perf_counter,
    ):
        from foundation.workers import World
        from training.methods.build import build_method
        from training.state.train_state import TrainState

        self.device, self.world, self.clock = device, World(device=device), clock
        small = {"compile": False, "lr_ramp_kimg": 0.0, "held_out_images": 8, "sigma_bins": 1}
        game: dict[str, Any] = {"start_kimg": NEVER, "every": 1, "statistics_images": 16}
        if settings.structure.kind in BESIDE_A_BANK:  # of few stand-in images
            game |= {"k": 2, "tangent_neighbours": 8, "tangent_dims": 4}
        sampler = settings.structure.sampler
        if sampler is not None:
            game["sampler"] = _unsearched(sampler)
        noise = settings.noise
        if noise.sampler is not None:
            noise = noise.model_copy(update={"sampler": _unsearched(noise.sampler)})
        self.settings = settings.model_copy(
            update={
                "noise": noise,
                "train": settings.train.model_copy(update=small),
                "structure": settings.structure.model_copy(update=game),
            }
        )
        with TemporaryDirectory(prefix="sadm-teacher-") as folder:
            if settings.student is not None:
                self.settings = _with_teacher(self.settings, dataset, Path(folder))
            self.state = TrainState(build_method(self.settings, dataset, self.world))
        self.game: Any = getattr(self.state.method, "game", None)

    def kinds(self, images: int) -> list[tuple[int, float]]:
        """(number of a step, share of all steps that cost as much), by what moves at a step.

        Steps of a student of several evaluations also differ in how many are made.
        """
        method: Any = getattr(self.state.method, "method", self.state.method)
        stop = getattr(method, "stop", lambda slots: 0)
        found: Counter[tuple[tuple[str, ...], int]] = Counter()
        first: dict[tuple[tuple[str, ...], int], int] = {}
        for number in range(SAMPLED):
            slots = range(number * images, (number + 1) * images)
            kind = tuple(method.turns(number)), stop(slots)
            found[kind] += 1
            first.setdefault(kind, number)
        return [(first[kind], count / SAMPLED) for kind, count in found.items()]

    def mean_step(self, images: int) -> float:
        """Seconds of a step over so many images, the mean over its kinds."""
        return sum(
            share * self.time(lambda number=number: self.step(images, number))  # type: ignore[misc]
            for number, share in self.kinds(images)
        )

    def step(self, images: int, number: int | None = None) -> None:
        """One optimiser step over so many images. number: of the step; None: the next one."""
        from training.loop import step

        if number is not None:
            self.state.nimg = number * images
        train = self.settings.train.model_copy(update={"batch_size": images})
        step(self.settings.model_copy(update={"train": train}), self.state, self.world)

    def open(self, fakes: int) -> None:
        """From now on each step has a play of so many fakes, with the gate open."""
        self.game.batch_size = fakes
        self.game.config = self.game.config.model_copy(update={"start_kimg": 0.0})
        self.step(2)
        self.game.gate = _OpenGate(self.game.gate)

    def evaluate(self, images: int) -> None:
        """One evaluation of the network, as in sampling."""
        import torch

        network: Any = self.state.deployed.network
        noise = torch.randn(images, *network.image_shape, device=self.device)
        with torch.no_grad():
            network(noise, torch.ones(images, device=self.device))

    def time(self, call: Callable[[], object]) -> float:
        """Seconds of a call: the least of some after the first, which may be cold; if it is slow,
        of one after it."""
        rounds = 1 if self._once(call) > SLOW_S else ROUNDS
        return min(self._once(call) for _ in range(rounds))

    def _once(self, call: Callable[[], object]) -> float:
        self._wait()
        begin = self.clock()
        call()
        self._wait()
        return self.clock() - begin

    def sizes(self) -> tuple[int, int, int]:
        """Bytes of a checkpoint, of one set of weights, and of one image."""
        return sizes(self.state)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)


def _with_teacher(settings: RunSettings, dataset: ImageDataset, folder: Path) -> RunSettings:
    """Settings of a student whose teacher is a stand-in, and draws two pairs in place of all."""
    student = settings.student
    assert student is not None
    update: dict[str, Any] = {"pairs": FEW} if student.pairs_needed else {}
    sampler = getattr(student, "sampler", None)
    if sampler is not None:
        update["sampler"] = _unsearched(sampler)
    return settings.model_copy(
        update={
            "teacher": str(write_teacher(settings, dataset, folder)),
            "student": student.model_copy(update=update),
            "pairs_cache": None,
        }
    )


def _unsearched(sampler: SamplerConfig) -> SamplerConfig:
    """The sampler on a grid that costs nothing: the search of others can take minutes."""
    if sampler.grid not in ("optimized", "fitted"):
        return sampler
    return sampler.model_copy(update={"grid": "karras", "grid_options": {}})


class _OpenGate:
    """A gate that is always open, since a play then costs most."""

    open, wins, reason, explanation = True, False, "", ""

    def __init__(self, gate: Any):
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Context in which torch uses so many threads; None: as many as before."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
