"""Stage autoencoder: make the autoencoder that params name; none writes a small JSON alone.

One that is trained (kl) resumes from its last checkpoint at the same command after a crash or
Ctrl-C, and is published again without training when it is finished. Under DVC, set
AUTOENCODER_FRESH=1 or AUTOENCODER_ADOPT=FINGERPRINT instead of the options --fresh and --adopt.
"""

import json
import shutil

from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from pipelines.console.command import parser, run_stage, training_options
from pipelines.latents.makers import MAKERS
from pipelines.latents.start import Start
from pipelines.params import load_params
from pipelines.ray_jobs.session import hide_gpus
from pipelines.settings.yaml_file import ParamsError
from pipelines.stages.whole_folders import check_whole, finish_folder
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import AUTOENCODER, DATASET, dvc_root
from pipelines.workspace.weights_files import check_captions, check_encoder, check_init


def main() -> None:
    arguments = parser(__doc__)
    training_options(arguments, "AUTOENCODER")
    args = arguments.parse_args()
    params = load_params(args.params)
    config = params.autoencoder
    if config.kind != "none":
        check_whole(DATASET)
    shutil.rmtree(AUTOENCODER, ignore_errors=True)
    if config.kind == "none":
        write_text(AUTOENCODER / "autoencoder.json", json.dumps({"kind": "none"}) + "\n")
        print("autoencoder: none: the denoiser sees pixels")
        return
    # What would stop the stage train is told before an autoencoder is trained for hours.
    check_encoder(params)
    check_init(params)
    hide_gpus(params.cluster)
    dataset = ImageDataset(DATASET)
    check_captions(params, dataset)
    channels, side, _ = dataset.image_shape
    refusal = config.missing() or config.refusal(side, channels)
    if refusal is not None:
        raise ParamsError(f"autoencoder{refusal}")
    file = AUTOENCODER / "autoencoder.safetensors"
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("autoencoder", params)
    start, root = Start(args.fresh, args.adopt), dvc_root()
    with stage_run("autoencoder", params, tag, fingerprint, root=root, fresh=args.fresh) as run:
        headline = MAKERS[config.kind](params, dataset, file, run, start)
        finish_folder(AUTOENCODER)
        run.log_artifact(file.with_suffix(".json"))
        run.describe(headline)
    print(f"autoencoder: {headline}")


if __name__ == "__main__":
    run_stage(main)
