"""The training loop: one flat pass from images seen to images wanted.

Progress is counted in images (`nimg`). All that image slot j of the global batch needs (which
image, flip, label dropout, sigma, noise) derives from (seed, nimg + j), so the result does not
depend on how the batch is split over workers and micro-batches.
"""

import json
import math
import time
from pathlib import Path

import torch

from dataset.store import ImageDataset
from foundation.workers import World
from models.power_ema import sigma_rel_to_gamma
from training.averaged_weights import ema_denoiser
from training.events import Report
from training.held_out import HeldOutLoss
from training.methods.build import build_state
from training.methods.denoising import accumulate_denoising
from training.preview import preview
from training.run_settings import RunSettings
from training.state.checkpoint import load_latest, save_checkpoint
from training.state.curves import Curves
from training.state.snapshots import save_snapshot
from training.state.train_state import TrainState
from training.structure.turn import adapter_learning_rate, gate_reason, play_game, tell_gate


class TrainingDiverged(RuntimeError):
    """Too many steps in a row had a non-finite gradient."""


def learning_rate(settings: RunSettings, nimg: int) -> float:
    """Linear ramp, then inverse square root decay, both in images (EDM2, Eq. 67)."""
    train = settings.train
    rate = train.lr
    if train.lr_decay_kimg > 0:
        rate /= max(nimg / (1000 * train.lr_decay_kimg), 1.0) ** 0.5
    if train.lr_ramp_kimg > 0:
        rate *= min(nimg / (1000 * train.lr_ramp_kimg), 1.0)
    return rate


def train(settings: RunSettings, dataset: ImageDataset, folder: Path, world: World,
          report: Report = lambda event: None) -> dict:  # fmt: skip
    """Train, or go on training, the run whose state lives in `folder`; returns its summary.

    Call it on every rank of `world`. The same call after a crash resumes from the newest readable
    checkpoint. Rank 0 writes snapshots, checkpoints, curves.jsonl and, last, train.json; `report`
    receives rank 0's events (see pipelines/console/training_monitor.py).
    Raises TrainingDiverged, ValueError for a batch that workers cannot share.
    """
    folder = Path(folder)
    chief = world.rank == 0
    tell = report if chief else (lambda event: None)
    state = build_state(settings, dataset, world)
    resumed = load_latest(
        folder / "checkpoints", lambda text: tell({"kind": "message", "text": text})
    )
    if resumed is not None:
        state.restore(*resumed)
    begun = world.all_gather(torch.tensor([[state.nimg]], device=world.device))
    if (begun != begun[0]).any():  # every rank reads the folder for itself
        raise RuntimeError(
            f"workers would resume at different images ({begun.flatten().tolist()}): the checkpoint "
            f"that one of them sees in {folder} is damaged or not there; all must share that folder"
        )
    world.barrier()  # nobody writes a new checkpoint while another rank still looks for the old one
    curves = Curves(folder / "curves.jsonl", resume_at=state.nimg, writing=chief)
    held_out = HeldOutLoss(settings, dataset, state.denoiser.codec, world)
    tell({"kind": "start", "nimg": state.nimg, "total_nimg": settings.total_nimg,
          "resumed": resumed is not None})  # fmt: skip

    own_parameters = state.optimizer.param_groups[0]["params"]  # all but an adapter's
    forward = torch.compile(state.denoiser) if settings.train.compile else state.denoiser
    state.denoiser.train()
    clock, clock_nimg, last_checkpoint = time.monotonic(), state.nimg, time.monotonic()

    while state.nimg < settings.total_nimg:
        before, batch_size = state.nimg, settings.train.batch_size
        after = before + batch_size
        step = before // batch_size

        # Denoising gradient of this rank's share, in micro-batches; summed over ranks.
        state.optimizer.zero_grad(set_to_none=True)
        loss_sum = accumulate_denoising(settings, state, forward, dataset, world)
        world.all_reduce_gradients(own_parameters)
        world.all_reduce_sum_(loss_sum)
        metrics = {"loss": loss_sum[0].item() / batch_size,
                   "denoising_loss": loss_sum[1].item() / batch_size}  # fmt: skip

        # The structure game adds its gradient every few steps.
        if state.game is not None:
            if state.game.opened_at is None and state.game.needs_opening(before):
                # What the denoiser could do before the first play is what the gate compares with.
                observe_held_out(settings, state, held_out, before)
            metrics |= play_game(settings, state, dataset, world, step, tell)

        # Optimiser step, forced weight normalisation, averages; a non-finite step is skipped.
        rate = learning_rate(settings, after)
        state.optimizer.param_groups[0]["lr"] = rate
        for group in state.optimizer.param_groups[1:]:  # the adapter's, which the game moves
            group["lr"] = adapter_learning_rate(settings, after)
        norm = clip_gradients(state.optimizer, settings.train.grad_clip)
        if torch.isfinite(torch.tensor([norm, metrics["loss"]])).all():
            state.optimizer.step()
            state.denoiser.normalize_weights()
            state.bad_in_a_row = 0
            state.observe(metrics | {"grad_norm": norm})
        else:
            state.skipped_steps += 1
            state.bad_in_a_row += 1
            if state.bad_in_a_row >= settings.train.max_bad_steps:
                raise TrainingDiverged(
                    f"{state.bad_in_a_row} steps in a row had a non-finite gradient (at "
                    f"{after / 1000:g} kimg): lower train.lr, or set train.precision to fp32"
                )
        state.ema.update(after, batch_size)
        state.nimg = after

        # Curves, held-out loss, pictures, snapshots, checkpoint.
        done = after == settings.total_nimg
        if _crossed(before, after, settings.train.held_out_every_kimg) or done:
            reason = gate_reason(state)
            values = observe_held_out(settings, state, held_out, after)
            tell_gate(state, reason, tell)
            state.last_metrics |= values
            curves.append(after, values)
            if chief:
                tell({"kind": "held_out", "nimg": after, "metrics": values})
        if _crossed(before, after, settings.train.log_every_kimg) or done:
            values = state.close_window() | {"lr": rate, "skipped_steps": state.skipped_steps}
            for group in state.optimizer.param_groups[1:]:
                values["structure/adapter_lr"] = group["lr"]
            state.last_metrics |= values
            curves.append(after, values)
            if chief:
                speed = (after - clock_nimg) / max(time.monotonic() - clock, 1e-9)
                clock, clock_nimg = time.monotonic(), after
                tell({"kind": "log", "nimg": after, "metrics": values, "img_per_s": speed})
        if after in settings.snapshot_nimgs and chief:
            path = save_snapshot(folder / "snapshots", state)
            tell({"kind": "snapshot", "nimg": after, "path": str(path)})
        every = settings.sample_every_kimg
        if chief and every and (_crossed(before, after, every) or done):
            tell(preview(settings, state, dataset, world.device))
        due = time.monotonic() - last_checkpoint >= settings.checkpoint_every_s
        if chief and (due or done):
            path = save_checkpoint(folder / "checkpoints", after, state.tensors(), state.plain())
            last_checkpoint = time.monotonic()
            tell({"kind": "checkpoint", "nimg": after, "path": str(path)})

    summary = summarise(settings, state)
    if chief:
        curves.write_csv(folder / "curves.csv")
        temporary = folder / ".train.json.tmp"
        temporary.write_text(json.dumps(summary, indent=1) + "\n")
        temporary.replace(folder / "train.json")
        tell({"kind": "end", "nimg": state.nimg})
    world.barrier()
    return summary


def observe_held_out(
    settings: RunSettings, state: TrainState, held_out: HeldOutLoss, nimg: int
) -> dict[str, float]:
    """Measure the held-out loss of the average that the gate judges; the curve's values."""
    length = settings.ema.tracked[0]
    values, train_bins, held_bins = held_out.measure(ema_denoiser(state, length))
    if state.game is not None:
        # The mean age of what a power-function average holds is nimg / (gamma + 2); twice that.
        memory = 2 * nimg / (sigma_rel_to_gamma(length) + 2)
        state.game.observe_held_out(held_bins, train_bins, nimg, memory)
    return values


def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> float:
    """Scale down gradients above the limit; the norm of all before that.

    Each group by itself: an adapter's gradient must not shorten the denoiser's own step.
    """
    norms = [
        torch.nn.utils.clip_grad_norm_(group["params"], limit) for group in optimizer.param_groups
    ]
    return math.hypot(*map(float, norms))


def summarise(settings: RunSettings, state: TrainState) -> dict:
    """What train.json tells of a finished run; no dates, speeds or paths."""
    gate = {} if state.game is None else state.game.gate.summary()
    return {
        "total_nimg": state.nimg,
        "batch_size": settings.train.batch_size,
        "num_parameters": sum(p.numel() for p in state.denoiser.parameters()),
        "skipped_steps": state.skipped_steps,
        "structure_kind": settings.structure.kind,
        "structure_plays": state.plays,
        "gate": gate,
        "final": state.last_metrics,
        "snapshots": list(settings.snapshot_nimgs),
    }


def _crossed(before: int, after: int, every_kimg: float) -> bool:
    """Whether a multiple of every_kimg lies in (before, after]."""
    every = every_kimg * 1000
    return int(after // every) > int(before // every)
