"""Shows a training's events in the driver: as a progress bar, and in the tracked run."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from foundation.durations import duration
from foundation.number_names import number_name
from pipelines.console.pairs_bar import PairsBar
from pipelines.console.progress import PlainLines
from pipelines.tracking.live_run import StageRun
from pipelines.tracking.run_names import gate_tags
from training.events import (
    Ended,
    Event,
    GateChanged,
    HeldOutMeasured,
    Logged,
    Message,
    PairsDrawn,
    SamplesDrawn,
    Started,
    Stepped,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Work(Protocol):
    """How much work lies between two numbers of images, in any unit."""

    def between(self, before: int, after: int) -> float:
        """The work between `before` and `after` images."""
        ...


class EqualWork:
    """Each image is as much work as any other."""

    def between(self, before: int, after: int) -> float:
        """Images."""
        return float(after - before)


RATE_SECONDS = 60.0  # the remaining time is estimated from the speed of the last minute
SURE_SECONDS = 3.0
"""After so many seconds of steps a first line tells the time left."""


class Rate:
    """Images per second over the last minute; images of before a resume do not count."""

    def __init__(self, clock: Callable[[], float], work: Work):
        self._clock, self._work = clock, work
        self._points: deque[tuple[float, int]] = deque()

    def update(self, nimg: int) -> None:
        """Note how many images have been shown by now.

        The first time is after the first step, which takes longer than all others.
        """
        now = self._clock()
        self._points.append((now, nimg))
        while len(self._points) > 2 and now - self._points[0][0] > RATE_SECONDS:
            self._points.popleft()

    @property
    def seconds(self) -> float:
        """Length of the time that is known."""
        return self._points[-1][0] - self._points[0][0] if self._points else 0.0

    def per_second(self) -> float | None:
        """Images per second; None before the second update."""
        if self.seconds <= 0:
            return None
        images = self._points[-1][1] - self._points[0][1]
        return images / self.seconds if images > 0 else None

    def left(self, nimg: int, total_nimg: int) -> float | None:
        """Seconds until `total_nimg` images: the work left, at the speed of the last minute."""
        if self.per_second() is None:
            return None
        done = self._work.between(self._points[0][1], self._points[-1][1])
        return self._work.between(nimg, total_nimg) * self.seconds / done if done > 0 else None


def adversarial_share(metrics: Mapping[str, float]) -> float | None:
    """lambda |grad L_adv| / |grad L_denoise| at the output convolution; None without a game.

    0 while the gate is shut: lambda is then 0, and |grad L_adv| is not measured. Also None for an
    adapter, which has no gradient of the denoising loss to compare with.
    """
    if "structure/adapter_lr" in metrics:
        return None
    if metrics.get("structure/lambda") == 0:
        return 0.0
    needed = ("structure/lambda", "structure/adv_grad", "structure/denoise_grad")
    if not all(name in metrics for name in needed):
        return None
    weight, adversarial, denoising = (metrics[name] for name in needed)
    return weight * adversarial / denoising if denoising > 0 else None


class Monitor:
    """Shows each event that it is called with; a context manager for the time of the training.

    Events are those of training/events.py; of kinds that it does not know it shows `nimg` alone.
    title: the student that is trained; "" for the denoiser. work: how the time left is shared out
    over the images to come; None: equally.
    """

    def __init__(
        self,
        total_nimg: int,
        run: StageRun | None = None,
        *,
        title: str = "",
        work: Work | None = None,
        console: "Console | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        from pipelines.console.terminal import terminal

        self.total_nimg = total_nimg
        self.title = title
        self.run = run or StageRun()
        self._clock = clock
        self._console = console or terminal(stderr=True)
        self._work = work or EqualWork()
        self._rate = Rate(clock, self._work)
        self._told_left = False
        self._nimg = 0
        self._latest: dict[str, float] = {}
        self._reasons: Counter[str] = Counter()
        self._newest: tuple[Any, int] | None = None
        self._plain = PlainLines(clock)
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.fields[kimg]}", markup=False),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}", markup=False),
                console=self._console,
                expand=True,
            )
            self._task = self._bar.add_task("", total=self.total_nimg, kimg="", figures="starting")
            self._bar.start()
        self._pairs = PairsBar(self.title, self._bar, self._plain, self._clock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run.flush()
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self.total_nimg = event.total_nimg
                self._rate = Rate(self._clock, self._work)
                if event.resumed:
                    kimg, total = event.nimg / 1000, self.total_nimg / 1000
                    self.say(f"resumed at {kimg:.1f} of {total:.1f} kimg")
            case PairsDrawn():
                self._pairs(event.done, event.total)
                return
            case Stepped():
                self._rate.update(event.nimg)
            case Logged():
                self._log(event)
            case HeldOutMeasured():
                self.run.log_metrics(event.metrics, event.nimg)
                self._latest.update(event.metrics)
            case SamplesDrawn():
                self._log_samples(event)
            case GateChanged():
                self._log_gate(event)
            case Message():
                self.say(event.text)
            case Ended() if self._newest is not None:
                self.run.log_image(self._newest[0], "samples at the end", self._newest[1])
        self._nimg = max(self._nimg if isinstance(event, Message) else event.nimg, 0)
        first = not self._told_left and self._rate.seconds >= SURE_SECONDS
        self._told_left = self._told_left or first
        self._show(force=first or (isinstance(event, Ended) and self._plain.printed > 0))

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        else:
            self._plain.offer(lambda: text, force=True)

    def figures(self) -> str:
        """Loss, adversarial share, speed and remaining time, as far as they are known."""
        parts = []
        loss = "denoising_loss" if "denoising_loss" in self._latest else "loss"
        for key, name in ((loss, "loss"), ("held_out/loss", "held out")):
            if key in self._latest:
                parts.append(f"{name} {self._latest[key]:.4f}")
        share = adversarial_share(self._latest)
        if "structure/gate_open" in self._latest or share is not None:
            shut = self._latest.get("structure/gate_open") == 0
            parts.append("gate shut" if shut else "game" if share is None else f"game {share:.0%}")
        rate, left = self._rate.per_second(), self._rate.left(self._nimg, self.total_nimg)
        if rate is not None and left is not None:
            parts += [f"{rate:.0f} img/s", f"{duration(left)} left"]
        return "  ".join(parts)

    def _log(self, event: Logged) -> None:
        self._latest.update(event.metrics)
        self._rate.update(event.nimg)
        extra = {
            "img_per_s": event.img_per_s,
            "structure/share": adversarial_share(event.metrics),
        }
        self.run.log_metrics({"kimg": event.nimg / 1000, **event.metrics, **extra}, event.nimg)

    def _log_samples(self, event: SamplesDrawn) -> None:
        from evaluation.pictures import sample_grid

        grid, name = sample_grid(event.images), f"samples ema {number_name(event.sigma_rel)}"
        seen = f"at {event.nimg:,} images seen, the newest; the slider goes back"
        self.run.log_image(grid, name, event.nimg, seen)
        self._newest = grid, event.nimg

    def _log_gate(self, event: GateChanged) -> None:
        state = "open" if event.open else f"shut: {event.explanation}"
        if not event.open:
            self._reasons[event.reason] += 1
        reasons = "; ".join(f"{name} x{count}" for name, count in self._reasons.most_common())
        self.run.set_tags({"gate": state} | ({"gate.reasons": reasons} if reasons else {}))

    def _show(self, force: bool = False) -> None:
        kimg = f"{self._nimg / 1000:.1f}/{self.total_nimg / 1000:.1f} kimg"
        kimg = f"{self.title}: {kimg}" if self.title else kimg
        if self._bar is not None:
            self._bar.update(self._task, completed=self._nimg, kimg=kimg, figures=self.figures())
        else:
            self._plain.offer(lambda: f"{kimg}  {self.figures() or 'starting'}", force=force)


LOSSES = {"denoising_loss": "denoising loss", "held_out/loss": "held-out loss"}
"""Curves whose last value the description of a training names."""


def close_training(run: StageRun, summary: Mapping[str, Any], outcome: str) -> None:
    """Tag the training's run and its parent with what train.json says of the game.

    outcome: of fingerprint.outcome. If an earlier finished parent run has the same outcome, its
    results are copied to this parent.
    """
    run.set_tags(gate_tags(summary))
    final = summary.get("final") or {}
    parts = [f"{summary.get('total_nimg', 0):,} images seen"]
    parts += [
        f"{title} {final[name]:.4f}"
        for name, title in LOSSES.items()
        if isinstance(final.get(name), float)
    ]
    run.describe(", ".join(parts))
    if run.parent is not None:
        run.parent.set_tags(gate_tags(summary))
        run.parent.restore_results(outcome)
