"""The data of skin tones: emoji in folders by their tone, prepared at 32x32 by the pipeline."""

from pathlib import Path

from foundation.json_hash import json_hash
from pipelines.params import load_params
from pipelines.settings.schema import Params
from studies.few_shot.denoisers import EMOJI, params_of
from studies.staged import run_stages

VALUES = "light:0.4,medium-light:0.15,medium:0.15,medium-dark:0.15,dark:0.15"
TARGET = "light:0.2,medium-light:0.2,medium:0.2,medium-dark:0.2,dark:0.2"


def prepared(emoji: Path, work: Path) -> tuple[Params, Path]:
    """(params, prepared data set) of the tones below `emoji`, made once.

    Raises ValueError where `python -m studies.emoji.install` has not been run, StageError.
    """
    pictures = emoji / "tones"
    if not pictures.is_dir():
        raise ValueError(f"{pictures} does not exist: python -m studies.emoji.install makes it")
    facts = sorted(str(file.relative_to(pictures)) for file in pictures.rglob("*.png"))
    folder = work / f"tones-{json_hash(facts)[:16]}"
    run_stages(folder, params_of(pictures, EMOJI, 0, 1.0), ("prepare",))
    return load_params(folder / "params.yaml"), folder / "outputs" / "dataset"
