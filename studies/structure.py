"""What does the structure game bring? Trains with it and without, from one warm start or from scratch.

Every arm starts from the same weights (of --init; without it, of its seed, on the params' own schedule)
and sees the same images in the same order; seeds pair the arms. The control trains longer than the
others, so that its snapshots answer for equal images and for equal wall-clock. Images are drawn by
the deployed sampler (few steps; the adapter on, where the arm trained one) and by the long one
(adapter off), and judged beside the real-versus-real floor. Fakes that come from a sampler (deployed,
onpolicy) come from the first of --deployed.

  python -m studies.structure --init outputs/ema/0.1.safetensors
  python -m studies.structure --init WEIGHTS --arms graph,per_sample --seeds 0,1,2 --kimg 64
  python -m studies.structure
  python -m studies.structure --params presets/fashion_mnist.yaml --init WEIGHTS --deployed few5 \\
    --arms per_sample --arm quick:structure.adapter_lr=0.003

Needs outputs/dataset and outputs/reference of the same params. Finished runs and images judged are
kept in the output folder: the same command goes on where it stopped. Writes structure.csv,
structure.md, structure.png, samples.png (each arm's images side by side) and, with --at, tradeoff.png.
"""

import argparse
import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock

from dataset.store import ImageDataset
from discriminators.config import StructureConfig
from evaluation.reference import load_reference
from foundation.workers import World
from models.ema_reconstruction import snapshot_name
from models.weights import file_hash, load_tensors
from pipelines.console.progress import progress
from pipelines.params import check_params
from pipelines.settings.dotted_keys import check_key, known_keys, with_values
from pipelines.settings.yaml_file import read_yaml
from studies.structure_images import Question, judge_all
from studies.structure_options import ARMS, CONTROL, parse
from studies.structure_report import write_report
from studies.structure_samples import draw_samples
from studies.structure_tradeoff import draw_tradeoff
from training.loop import train
from training.methods.build import build_state
from training.run_settings import RunSettings


def train_arm(settings: str, dataset: str, folder: str) -> float:
    """Train one arm in this process, or go on with it; returns the seconds it took.

    The time is that of the last start: a run that was interrupted looks faster than it was.
    """
    place, clock = Path(folder), Path(folder) / "seconds.json"
    with FileLock(place / ".lock", timeout=0):  # Timeout says which folder another process holds
        if not (place / "train.json").exists():
            start = time.monotonic()
            train(RunSettings.model_validate_json(settings), ImageDataset(dataset), place, World())
            clock.write_text(json.dumps(time.monotonic() - start))
    return json.loads(clock.read_text()) if clock.exists() else float("nan")


def start_worker(parent: int) -> None:
    """One thread a process, and no life beyond the parent's, however that ends."""
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def arm_settings(raw: dict, values: dict, options: argparse.Namespace, seed: int, kimg: float
                 ) -> RunSettings:  # fmt: skip
    """The settings of one arm: those of params, a fine-tune of the given weights, its own values."""
    snapshots = round(kimg / options.snapshot_kimg)
    deployed = (
        check_params(raw)
        .sampling[options.deployed[0]]
        .model_copy(update={"adapter": False, "guidance": ()})
    )
    common = {
        "seed": seed,
        "train.init_from": str(options.init) if options.init else None,
        "train.total_kimg": kimg,
        "structure.sampler": deployed.model_dump(mode="json"),
        "ema.snapshots": snapshots,
    }
    if options.init:
        common |= {
            "train.lr_ramp_kimg": min(5.0, options.kimg / 8),
            "train.lr_decay_kimg": 0.0,
            "train.held_out_every_kimg": options.kimg / 4,
            "structure.start_kimg": 0.0,
        }
    if options.lr is not None:
        common["train.lr"] = options.lr
    if options.every is not None:
        common["structure.every"] = options.every
    # Which arm is judged with its adapter, questions() says.
    common |= {f"sampling.{name}.adapter": False for name in raw.get("sampling", {})}
    params = check_params(with_values(raw, common | values), "the study's params")
    settings = params.run_settings().model_copy(update={"sample_every_kimg": None})
    if params.structure.kind == "none":  # nothing of the game is left in a control
        plain = params.model.model_copy(update={"adapter_rank": 0})
        settings = settings.model_copy(
            update={"structure": StructureConfig(kind="none"), "model": plain}
        )
    return settings


def same_plain(folder: Path, control: Path) -> int:
    """At how many common snapshots an arm is its control, bit by bit, but for its adapter.

    Raises ValueError where it is not, or where no snapshot is common.
    """
    names = [path.name for path in sorted((folder / "snapshots").glob("*.safetensors"))]
    common = [name for name in names if (control / "snapshots" / name).exists()]
    for name in common:
        own, _ = load_tensors(folder / "snapshots" / name)
        other, _ = load_tensors(control / "snapshots" / name)
        changed = [key for key in other if not torch.equal(own[key], other[key])]
        if changed:
            raise ValueError(f"{folder.name} is not its control with the adapter off: {changed[0]}")
    if not common:
        raise ValueError(
            f"{folder.name} and its control have no snapshot at the same image: choose --kimg so "
            "that it is a multiple of four training batches"
        )
    return len(common)


def questions(raw: dict, runs: dict, options: argparse.Namespace) -> list[Question]:
    """What to judge: each arm at equal images, the control at equal wall-clock too, and the start."""
    params, out = check_params(raw), []
    names = [*options.deployed, options.long]
    for name in names:
        plain = params.sampling[name].model_copy(update={"adapter": False})
        if options.init:
            out.append(Question("start", -1, 0.0, name, str(options.init), plain.model_dump_json()))
    for (arm, seed), (settings, folder) in runs.items():
        adapted = settings.model.adapter_rank > 0 and arm != CONTROL
        longer = [settings.train.total_kimg] if arm == CONTROL else []
        for kimg in sorted({*options.at, options.kimg, *longer}):
            nimg = min(settings.snapshot_nimgs, key=lambda n: abs(n - 1000 * kimg))
            weights = folder / "snapshots" / snapshot_name(nimg, options.length)
            for name in names:
                if name == options.long and (adapted or kimg > options.kimg):
                    continue  # with its adapter off, an arm is its control: see same_plain
                on = adapted and name in options.deployed
                setting = params.sampling[name].model_copy(update={"adapter": on})
                out.append(Question(arm, seed, kimg, name, str(weights), setting.model_dump_json()))
    return out


def main(arguments: list[str] | None = None) -> None:
    """Train, judge, report."""
    options = parse(arguments, __doc__)
    raw = read_yaml(options.params)
    arms = {name: ARMS[name] for name in options.arms} | dict(options.arm)
    base = check_params(raw)
    for values in arms.values():
        for key in values:
            check_key(key, known_keys(base), "--arm")
    runs = {}
    for arm, values in {CONTROL: ARMS[CONTROL], **arms}.items():
        kimg = options.control_kimg if arm == CONTROL else options.kimg
        for seed in options.seeds:
            settings = arm_settings(raw, values, options, seed, kimg)
            runs[arm, seed] = settings, options.out / "runs" / f"{arm}-{seed}-{kimg:g}"
    dataset = ImageDataset(options.dataset)
    # What does not fit together is told before any training.
    load_reference(options.reference, base.evaluation.inception_path)
    for (arm, seed), (settings, _) in runs.items():
        if seed == options.seeds[0]:
            try:
                build_state(settings, dataset, World())
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"{arm}: {error}") from None
    _same_settings(runs, {"init": options.init and file_hash(options.init),
                          "dataset": dataset.content_hash})  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options.jobs, context, start_worker, (os.getpid(),))
    with pool:
        seconds = _train_all(pool, runs, options)
        for (arm, seed), (settings, folder) in runs.items():
            if arm != CONTROL and settings.model.adapter_rank:
                count = same_plain(folder, runs[CONTROL, seed][1])
                print(
                    f"{arm}, seed {seed}: adapter off, {count} snapshots are the control's bitwise"
                )
        config = base.evaluation.model_copy(
            update={"num_images": options.images, "floor_draws": options.draws}
        )
        asked, folder = questions(raw, runs, options), options.out / "judged"
        found = judge_all(pool, asked, config, options.dataset, options.reference, folder)
    rows = [
        {"arm": q.arm, "seed": q.seed, "kimg": q.kimg, "sampler": q.sampler, "metric": name}
        | {key: entry.get(key) for key in ("value", "floor", "floor_std", "resolvable")}
        for q, metrics in found
        for name, entry in metrics.items()
    ]
    table = pd.DataFrame(rows)
    table.to_csv(options.out / "structure.csv", index=False, float_format="%.6g")
    per_kimg = {key: spent / runs[key][0].train.total_kimg for key, spent in seconds.items()}
    write_report(table, per_kimg, options.kimg, options.deployed, options.long, options.out,
                 options.snapshot_kimg)  # fmt: skip
    draw_samples(asked, options.kimg, options.deployed[0], options.images, dataset, folder,
                 options.out / "samples.png")  # fmt: skip
    if options.at:
        draw_tradeoff(table, options.kimg, options.deployed[0], options.long, options.out)
    print((options.out / "structure.md").read_text())


def _same_settings(runs: dict, inputs: dict) -> None:
    """A run in the folder must be of these settings, start and data; raises ValueError where not."""
    for settings, folder in runs.values():
        for name, text in (
            ("settings", settings.model_dump_json(indent=1)),
            ("inputs", json.dumps(inputs)),
        ):
            note = folder / f"{name}.json"
            if note.exists() and note.read_text() != text:
                what = "settings" if name == "settings" else "starting weights or another data set"
                raise ValueError(
                    f"{folder} holds a run of other {what}: give another --out, or remove it"
                )
            folder.mkdir(parents=True, exist_ok=True)
            note.write_text(text)


def _train_all(pool: ProcessPoolExecutor, runs: dict, options: argparse.Namespace) -> dict:
    seconds = {}
    with progress("structure: training runs", len(runs)) as report:
        tasks = {
            pool.submit(train_arm, settings.model_dump_json(), str(options.dataset), str(folder)): key
            for key, (settings, folder) in sorted(runs.items(), key=lambda item: item[0][1])
        }  # fmt: skip
        for done, task in enumerate(as_completed(tasks), start=1):
            try:
                seconds[tasks[task]] = task.result()
            except Exception as error:
                arm, seed = tasks[task]
                pool.shutdown(wait=False, cancel_futures=True)
                print(f"{arm}, seed {seed}: {error}; waiting for the runs under way", flush=True)
                raise ValueError(f"{arm}, seed {seed}: {error}") from error
            report(done)
    return seconds


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
