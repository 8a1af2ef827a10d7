"""Trains the arms of the study, judges their images and reports, from parsed options."""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pandas as pd

from dataset.store import ImageDataset
from evaluation.reference import load_reference
from foundation.number_names import number_name
from foundation.workers import World
from models.ema_reconstruction import snapshot_name
from models.weights import file_hash
from pipelines.params import check_params
from pipelines.settings.dotted_keys import check_key, known_keys
from pipelines.settings.yaml_file import read_yaml
from studies.structure.arms import (
    arm_settings,
    check_same_settings,
    same_plain,
    start_worker,
    train_all,
)
from studies.structure.images import Question, judge_all
from studies.structure.options import ARMS, CONTROL
from studies.structure.report import write_report
from studies.structure.samples import draw_samples
from studies.structure.tradeoff import draw_tradeoff
from training.methods.build import build_method


def questions(raw: dict, runs: dict, options: argparse.Namespace) -> list[Question]:
    """The images to judge: of every arm at equal images, the control at its end, and the start."""
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


def run(options: argparse.Namespace) -> None:
    """Train, judge, report. Raises ValueError before any training for what cannot be trained."""
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
            runs[arm, seed] = settings, options.out / "runs" / f"{arm}-{seed}-{number_name(kimg)}"
    dataset = ImageDataset(options.dataset)
    # Settings that cannot be trained are refused before any training starts.
    load_reference(options.reference, base.evaluation.inception_path)
    for (arm, seed), (settings, _) in runs.items():
        if seed == options.seeds[0]:
            try:
                build_method(settings, dataset, World())
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"{arm}: {error}") from None
    check_same_settings(
        runs, {"init": options.init and file_hash(options.init), "dataset": dataset.content_hash}
    )
    options.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options.jobs, context, start_worker, (os.getpid(),))
    with pool:
        seconds = train_all(pool, runs, options)
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
    write_report(
        table,
        per_kimg,
        options.kimg,
        options.deployed,
        options.long,
        options.out,
        options.snapshot_kimg,
    )
    draw_samples(
        asked,
        options.kimg,
        options.deployed[0],
        options.images,
        dataset,
        folder,
        options.out / "samples.png",
    )
    if options.at:
        draw_tradeoff(table, options.kimg, options.deployed[0], options.long, options.out)
    print((options.out / "structure.md").read_text())
