"""Draws and judges images of a study's weights; metrics of earlier calls are read from files."""

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from evaluation.pictures import sample_grid
from evaluation.reference import load_reference
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.number_names import number_name
from pipelines.console.progress import progress
from sampling.config import SamplerConfig
from studies.judged_images import GENERATION_SEED, SHOWN_IMAGES, judged_images


@dataclass(frozen=True)
class Question:
    """One set of images to judge: of which arm, seed and time, by which sampler and weights."""

    arm: str
    seed: int
    kimg: float
    sampler: str
    weights: str
    setting: str  # SamplerConfig as JSON


def judge_images(question: Question, dataset: str, reference: str, config: str, out: str) -> dict:
    """Draw the images of a question and judge them; returns {metric: {value, floor, ...}}.

    config: EvaluationConfig as JSON. Writes the metrics to `out` and a picture beside it.
    """
    settings, path = EvaluationConfig.model_validate_json(config), Path(out)
    pixels, metrics = judged_images(
        Path(question.weights),
        SamplerConfig.model_validate_json(question.setting),
        ImageDataset(dataset),
        load_reference(Path(reference), settings.inception_path),
        settings,
        path.parent / "floors",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    sample_grid(pixels[:SHOWN_IMAGES]).save(path.with_suffix(".png"))
    facts = {"made_of": made_of(question, reference, config), "metrics": metrics}
    write_text(path, json.dumps(asdict(question) | facts, indent=1))
    return metrics


def picture_of(folder: Path, question: Question) -> Path:
    """The file of a question's picture; its metrics are in the .json beside it."""
    kimg = number_name(question.kimg)
    return folder / f"{question.arm}-{question.seed}-{kimg}-{question.sampler}.png"


def made_of(question: Question, reference: str, config: str) -> str:
    """Hash of all that the metrics of a question depend on, except for the code."""
    digest = hashlib.blake2b(digest_size=16)
    for path in (Path(question.weights), *sorted(Path(reference).glob("*.json"))):
        digest.update(path.read_bytes())
    digest.update(f"{question.setting}\n{config}\n{GENERATION_SEED}".encode())
    return digest.hexdigest()


def _kept(file: Path) -> dict:
    """What an earlier start wrote to the file; empty where it wrote none, or not the whole."""
    try:
        kept = read_object(file)
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept.get("metrics"), dict) else {}


def judge_all(
    pool: ProcessPoolExecutor,
    asked: list[Question],
    config: EvaluationConfig,
    dataset: Path,
    reference: Path,
    folder: Path,
) -> list[tuple[Question, dict]]:
    """(question, metrics) of every question, in order; metrics that are in the folder are read."""
    tasks, found = {}, {}
    facts = str(reference), config.model_dump_json()
    with progress("structure: images judged", len(asked)) as report:
        for question in asked:
            out = picture_of(folder, question).with_suffix(".json")
            kept = _kept(out)
            if kept.get("made_of") == made_of(question, *facts):
                found[question] = kept["metrics"]
                continue
            tasks[pool.submit(judge_images, question, str(dataset), *facts, str(out))] = question
        report(len(found))
        for task in as_completed(tasks):
            found[tasks[task]] = task.result()
            report(len(found))
    return [(question, found[question]) for question in asked]
