"""Stages, watched: the code that runs is the code that their fingerprints know of."""

import inspect
import json
import sys
import threading
from pathlib import Path

from pipelines import evaluate, prepare, reconstruct, reference, summarize, train
from pipelines.attributes import stage as attributes
from pipelines.latents import autoencoder, encode
from pipelines.params import check_params, load_params
from pipelines.settings.dotted_keys import with_values
from pipelines.students import distil
from pipelines.students import evaluate as evaluate_students
from pipelines.workspace.chosen_kinds import chosen_kinds
from pipelines.workspace.stage_code import (
    CARRIERS,
    NO_RESULT,
    STAGE_PARAMS,
    always_files,
    stage_files,
)

ROOT = Path(__file__).resolve().parents[3]
TINY = {
    "autoencoder": {"kind": "pca", "factor": 2, "channels": 4},
    "model.channels": 8,
    "model.channel_mult": [1, 2],
    "model.attention_resolutions": [],
    "model.structural_blocks": [],
    "train.total_kimg": 0.128,
    "train.batch_size": 16,
    "train.log_every_kimg": 0.016,
    "train.held_out_every_kimg": 0.064,
    "train.held_out_images": 16,
    # the game's own sampler, since no other is named
    "structure.fakes": "deployed",
    "structure.start_kimg": 0.03,
    "structure.every": 2,
    "structure.width": 8,
    "structure.batch_size": 16,
    "structure.statistics_images": 32,
    "structure.gate.min_plays": 1,  # a game that never plays is remarked upon
    "ema.snapshots": 2,
    "ema.lengths": [0.1],
    "attributes": {"digit": {"values": ["3", "7"], "images": 20, "steps": 2}},
    "evaluation.extractor": "classifier",
    "evaluation.num_images": 16,
    "evaluation.kid_subsets": 2,
    "evaluation.floor_draws": 2,
    "evaluation.picture_images": 4,
    "cluster.num_workers": 0,
    "tracking.enabled": False,
    "sampling": {
        "few": {"solver": "heun", "grid": "karras", "steps": 2},
        "few_one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]},
    },
    "samplers": ["few"],
    "students": {
        "quick": {
            "kind": "distribution_matching",
            "samplers": ["few_one"],
            "total_kimg": 0.064,
            "batch_size": 16,
            "critic_steps": 2,
            "snapshots": 2,
            "regression": 1.0,
            "pairs": 8,
            "sampler": {"solver": "ddim", "grid": "karras", "steps": 2},
        }
    },
    "distil": ["quick"],
}


def files_that_run(main) -> set[Path]:
    """Files of this project in which a function is called while `main` runs."""
    ran: set[str] = set()

    def note(frame, event, argument):
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # no class bodies
            ran.add(frame.f_code.co_filename)

    before = sys.gettrace()
    threading.settrace(note)
    sys.settrace(note)
    try:
        main()
    finally:
        sys.settrace(before)
        threading.settrace(before)
    paths = {Path(name).relative_to(ROOT) for name in ran if Path(name).is_relative_to(ROOT)}
    return {path for path in paths if path.parts[0] not in ("tests", ".venv")}


def test_no_code_runs_that_the_fingerprint_does_not_know(workspace, monkeypatch):
    raw = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
    params = check_params(with_values(raw, TINY))
    plain = params.model_dump(mode="json")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr("evaluation.classifier.EPOCHS", 1)
    monkeypatch.setattr("evaluation.classifier.MIN_BATCHES", 5)
    # One file of tracking, which decides a result of summarize, serves MLflow in the others.
    unseen = (*NO_RESULT, *CARRIERS, "pipelines.tracking")
    apart = tuple(module.replace(".", "/") for module in unseen)
    modules = (prepare, autoencoder, encode, reference, train, reconstruct)
    modules += (attributes, evaluate, distil, evaluate_students, summarize)
    for stage, module in zip(STAGE_PARAMS, modules, strict=True):
        item = ["--length", "0.1", "--sampler", "few"] if stage == "evaluate" else []
        monkeypatch.setattr(sys, "argv", [stage, *item])
        # checking params calls all parts
        monkeypatch.setattr(module, "load_params", lambda path: params)
        ran = {path for path in files_that_run(module.main) if not str(path).startswith(apart)}
        known = stage_files(stage, chosen_kinds(stage, plain))
        assert ran <= known, f"{stage} runs {sorted(map(str, ran - known))}"
        of_kinds = known - always_files(stage)
        assert bool(ran & of_kinds) == bool(of_kinds), f"{stage}: no code of its kinds was seen"
        assert len(ran) > 3, f"{stage}: hardly any code was seen"
    # Its denoiser draws latents, so what these lose stands beside each item.
    (judged,) = Path("outputs/evaluate").glob("*/metrics.json")
    second_floor = {"kid_reconstruction", "fd_reconstruction", "reconstruction_psnr"}
    assert second_floor <= set(json.loads(judged.read_text())["metrics"])
