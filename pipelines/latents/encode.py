"""Stage encode: latents of all images and their mirror images, and what standardises them.

Without an autoencoder it writes one small JSON, and the denoiser sees pixels.
"""

import json
import shutil

from dataset.latents import MANIFEST
from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import phases
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import AUTOENCODER, DATASET, LATENTS, dvc_root


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    if params.autoencoder.kind != "none":
        check_whole(DATASET)
        check_whole(AUTOENCODER)
    shutil.rmtree(LATENTS, ignore_errors=True)
    if params.autoencoder.kind == "none":
        write_text(LATENTS / MANIFEST, json.dumps({"kind": "none"}) + "\n")
        print("encode: none: the denoiser sees pixels")
        return
    # These bring torch, which --help does without.
    from models.autoencoder import autoencoder_hash, load_autoencoder
    from training.latents import encode_dataset

    hide_gpus(params.cluster)
    dataset, network = ImageDataset(DATASET), load_autoencoder(AUTOENCODER)
    facts = {
        "kind": params.autoencoder.kind,
        "settings": params.autoencoder.model_dump(mode="json"),
    }
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("encode", params)
    with stage_run("encode", params, tag, fingerprint, root=dvc_root()) as run:
        with phases("encode") as report:
            found = encode_dataset(
                dataset, network, autoencoder_hash(AUTOENCODER), LATENTS, report, facts
            )
        finish_folder(LATENTS)
        run.log_artifact(LATENTS / MANIFEST)
    channels, height, width = found["codec"]["shape"]
    print(
        f"encode: {len(dataset):,} images and their mirror images as latents of {channels} "
        f"channels at {height}x{width}: {found['bytes'] / 1e6:,.1f} MB"
    )


if __name__ == "__main__":
    run_stage(main)
