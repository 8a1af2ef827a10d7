"""Stage autoencoder: make the autoencoder that params name; none writes a small JSON alone."""

import json
import shutil

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from pipelines.console.command import parser, run_stage
from pipelines.latents.makers import MAKERS
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.yaml_file import ParamsError
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import AUTOENCODER, DATASET, dvc_root


def main() -> None:
    params = load_params(parser(__doc__).parse_args().params)
    config = params.autoencoder
    shutil.rmtree(AUTOENCODER, ignore_errors=True)
    if config.kind == "none":
        write_text(AUTOENCODER / "autoencoder.json", json.dumps({"kind": "none"}) + "\n")
        print("autoencoder: none: the denoiser sees pixels")
        return
    hide_gpus(params.cluster)
    dataset = ImageDataset(DATASET)
    channels, side, _ = dataset.image_shape
    refusal = config.refusal(side, channels)
    if refusal is not None:
        raise ParamsError(f"autoencoder{refusal}")
    file = AUTOENCODER / "autoencoder.safetensors"
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("autoencoder", params)
    with stage_run("autoencoder", params, tag, fingerprint, root=dvc_root()) as run:
        headline = MAKERS[config.kind](params, dataset, file, run)
        run.log_artifact(file.with_suffix(".json"))
        run.describe(headline)
    print(f"autoencoder: {headline}")


if __name__ == "__main__":
    run_stage(main)
