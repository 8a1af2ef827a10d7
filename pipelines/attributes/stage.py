"""Stage attributes: a predictor of each attribute that params name, for each EMA length.

A predictor whose weights, images, settings and code are those of before is not trained again, so
another attribute trains that one only. Without attributes the stage writes one small JSON.
"""

import json
import shutil
from pathlib import Path

from foundation.atomic_files import write_text
from foundation.number_names import number_name
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.schema import Params
from pipelines.stages.kept_files import keep_files, restore_files
from pipelines.stages.whole_folders import check_weights_of, check_whole, finish_folder
from pipelines.tracking.stage_run import StageRun, stage_run
from pipelines.workspace.chosen_kinds import guiding_attributes
from pipelines.workspace.fingerprint import pipeline_tag, predictor_fingerprint
from pipelines.workspace.paths import (
    ATTRIBUTES,
    DATASET,
    EMA,
    LATENTS,
    attributes_cache,
    dvc_root,
    item_name,
)
from pipelines.workspace.stage_code import content_hash
from pipelines.workspace.training_data import latents_folder

LIST = ATTRIBUTES / "attributes.json"


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    if params.attributes:
        for read in (DATASET, LATENTS):
            check_whole(read)
        check_weights_of(EMA, *map(number_name, params.ema.lengths))
    shutil.rmtree(ATTRIBUTES, ignore_errors=True)
    hide_gpus(params.cluster)
    tag = pipeline_tag(params) if params.attributes else ""
    entries = {
        name: {
            number_name(length): make(params, name, length, tag) for length in params.ema.lengths
        }
        for name in params.attributes
    }
    plain = params.model_dump(mode="json")
    for sampler in params.samplers:
        used = guiding_attributes(plain, sampler)
        for length in params.ema.lengths:
            hashes = {name: entries[name][number_name(length)] for name in used}
            path = ATTRIBUTES / "items" / f"{item_name(length, sampler)}.json"
            write_text(path, json.dumps({"predictors": hashes}, indent=1) + "\n")
    write_text(LIST, json.dumps({"attributes": entries}, indent=1) + "\n")
    finish_folder(ATTRIBUTES)
    if not params.attributes:
        print("attributes: params name no attribute")


def make(params: Params, name: str, length: float, tag: str) -> str:
    """Put the predictor of one attribute and EMA length in place; returns the hash of its weights.

    It is trained unless it was before. tag: of the pipeline.
    """
    out = ATTRIBUTES / name / f"{number_name(length)}.safetensors"
    fingerprint = predictor_fingerprint(params, name, length)
    item = f"{name}-{number_name(length)}"
    with stage_run(
        "attributes",
        params,
        tag,
        fingerprint,
        root=dvc_root(),
        item=item,
        param_keys=["seed", "noise", f"attributes.{name}"],
    ) as run:
        kept = attributes_cache() / fingerprint
        if restore_files(kept, files(out)):
            run.mark_restored()
            print(f"attributes: {item}: as trained before")
        else:
            train(params, name, length, out, run)
            keep_files(kept, files(out))
    return content_hash(out)


def train(params: Params, name: str, length: float, out: Path, run: StageRun) -> None:
    """Train and write one predictor; prints how well it does, logs the same to `run`."""
    # These bring torch, which --help does without.
    import torch

    from dataset.latents import open_dataset
    from models.denoiser import load_denoiser
    from pipelines.attributes.training import train_predictor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    denoiser = load_denoiser(EMA / f"{number_name(length)}.safetensors", device)
    dataset = open_dataset(DATASET, latents_folder(params))
    item = f"{name}, EMA length {number_name(length)}"
    with progress(f"attributes: {item}") as bar:
        trained = train_predictor(
            denoiser, dataset, params.attributes[name], params.noise, params.seed, bar
        )
    trained.save(out)
    print(f"attributes: {item}: {trained.told()}")
    for line in trained.lines():
        print(line)
    entropies, accuracies = trained.fitted.cross_entropy, trained.fitted.accuracy
    for number, (entropy, right) in enumerate(zip(entropies, accuracies, strict=True)):
        run.log_metrics({f"cross_entropy/{number}": entropy, f"accuracy/{number}": right})
    run.log_artifact(out.with_suffix(".json"))
    run.describe(f"predictor of {name} from {trained.told()}")


def files(out: Path) -> dict[str, Path]:
    """{name under which it is kept: file} of a predictor's two files."""
    return {f"predictor{suffix}": out.with_suffix(suffix) for suffix in (".safetensors", ".json")}


if __name__ == "__main__":
    run_stage(main)
