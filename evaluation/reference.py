"""Makes and loads the reference of a data set: features of its train and held-out splits."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
import torch

from dataset.classes import compared_classes
from dataset.distinct import first_of_each, pixel_keys
from evaluation.classifier import train_classifier
from evaluation.config import EvaluationConfig
from evaluation.copies import near_copies, write_pairs
from evaluation.features import write_features
from evaluation.kept.unfinished_reference import keep_classifier, kept_classifier, unfinished_work
from foundation.atomic_files import replacing, write_text
from foundation.json_files import read_object
from models.extractors.classifier import ClassifierExtractor, load_classifier
from models.extractors.load import Extractor, load_extractor

SCHEMA = 2
MAX_CLASSES = 100
"""With more classes no conditional accuracy is reported, since the classifier is too weak."""


class RealImages(Protocol):
    """What a reference needs of a data set; dataset.store.ImageDataset has it."""

    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int64 [N], -1 = unlabelled
    train_indices: np.ndarray
    held_out_indices: np.ndarray

    @property
    def image_shape(self) -> tuple[int, int, int]: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def content_hash(self) -> str: ...


@dataclass(frozen=True)
class Reference:
    """A loaded reference. The feature arrays are memory maps."""

    extractor: Extractor
    classifier: ClassifierExtractor | None
    """Classifies generated images; None if the data set has no usable labels."""
    train_features: np.ndarray
    """float32 [N, F]."""
    held_out_features: np.ndarray
    """float32 [M, F]."""
    train_mean: np.ndarray
    """float64 [F], of the whole train split."""
    train_cov: np.ndarray
    """float64 [F, F]."""
    manifest: dict
    """Content of reference.json."""
    train_indices: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """int64 [N]: which images of the data set the rows of train_features are, without copies."""
    held_out_indices: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """int64 [M], of held_out_features."""


def resolve_extractor(config: EvaluationConfig, dataset: RealImages) -> str:
    """Name of the extractor to use; `auto` means the classifier for labelled grey images."""
    if config.extractor != "auto":
        return config.extractor
    grey = dataset.image_shape[0] == 1
    return "classifier" if grey and _can_classify(dataset) else "efficientnet_lite0"


def build_reference(
    dataset: RealImages,
    config: EvaluationConfig,
    out: Path,
    progress: Callable[[str, int, int], None] | None = None,
    unfinished: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    trained: ClassifierExtractor | None = None,
) -> dict:
    """Write the reference of a data set into the folder `out`, reference.json last.

    Images that are equal in every pixel count as one, the first of them. The files are
    classifier.safetensors + .json (if there are labels), train_features.npy and
    held_out_features.npy (float32), statistics.npz (float64 mean and covariance of the train
    split, and which images the features are of), reference.json.

    Args:
        config: only `extractor` and `inception_path` are read.
        progress: called with (what is done, done, total).
        unfinished: folder for the classifier and the features so far, with which the next call for
            the same goes on if this one is interrupted; to the same result. None: none are kept.
        tell: called with a line if there is something to go on with.
        trained: the classifier, if not a new one is to be trained.

    Returns:
        The content of reference.json. Raises ValueError, which says what to do, if the data set is
        too small or has too few classes, or the feature network is missing.
    """
    name = resolve_extractor(config, dataset)
    sides = dataset.train_indices, dataset.held_out_indices
    all_keys = pixel_keys(dataset.images, np.concatenate(sides), _step(progress, "finding copies"))
    keys = all_keys[: len(sides[0])], all_keys[len(sides[0]) :]
    train, held_out = (side[first_of_each(key)] for side, key in zip(sides, keys, strict=True))
    if len(held_out) < 4 or len(train) < 2:
        copies = sum(map(len, sides)) - len(train) - len(held_out)
        raise ValueError(
            f"the data set has {len(train)} train and {len(held_out)} held-out images"
            f"{f' besides {copies} copies of them' if copies else ''}: metrics "
            f"need at least 2 and 4; add images or raise dataset.held_out"
        )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # First, so that a missing network raises before the classifier is trained.
    extractor: Extractor | None = None
    if name != "classifier":
        extractor = load_extractor(name, inception_path=config.inception_path)
    decides = {
        "dataset": dataset.content_hash,
        "images": [sha256(side.tobytes()).hexdigest() for side in (train, held_out)],
        "extractor": name if extractor is None else extractor.protocol(),
        "device": [device.type, torch.get_num_threads()],  # sums are rounded in another order
    }
    with unfinished_work(unfinished, decides, tell) as work:
        classifier = None
        if name == "classifier" or _can_classify(dataset):
            # A picture that has two labels is an image of each class.
            about = dataset.images, *compared_classes(dataset)
            labelled = [
                side[first_of_each(key, about[1][side])]
                for side, key in zip(sides, keys, strict=True)
            ]
            classifier = trained or kept_classifier(work)
            if classifier is None:
                said = _step(progress, "training the classifier")
                classifier, _ = train_classifier(*about, *labelled, device=device, progress=said)
                keep_classifier(work, classifier)
            classifier.save(out / "classifier.safetensors")
        if extractor is None:
            assert classifier is not None
            extractor = classifier
        weights = extractor.to(device).protocol()["weights_sha256"]
        statistics = {}
        for split, indices in (("train", train), ("held_out", held_out)):
            statistics[split] = write_features(
                extractor,
                dataset.images,
                indices,
                out / f"{split}_features.npy",
                _step(progress, f"features of the {split.replace('_', '-')} split"),
                None if work is None else work / f"{split}-{weights[:16]}.npy",
            )
        said = _step(progress, "finding near-copies")
        found, pairs = near_copies(dataset.images, train, held_out, said)
        write_pairs(out, pairs, dataset.images)
        _write_statistics(
            out / "statistics.npz",
            mean=statistics["train"].mean,
            cov=statistics["train"].cov,
            train_indices=train,
            held_out_indices=held_out,
        )
        manifest = {
            "schema": SCHEMA,
            "extractor": name,
            "metric_name": extractor.metric_name,
            "protocol": extractor.protocol(),
            "classifier": None if classifier is None else classifier.protocol(),
            "held_out_accuracy": classifier and classifier.description["held_out_accuracy"],
            "num_train": len(train),
            "num_held_out": len(held_out),
            "copies": {
                "merged_train": len(sides[0]) - len(train),
                "merged_held_out": len(sides[1]) - len(held_out),
                **found,
            },
            "num_features": extractor.num_features,
            "dataset_hash": dataset.content_hash,
        }
        write_text(out / "reference.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def load_reference(folder: Path, inception_path: str | None = None) -> Reference:
    """Read what `build_reference` wrote, onto the GPU if there is one.

    Args:
        inception_path: path of the weights, for extractor inception only.

    Raises ValueError with the file's name if a part is missing, damaged or does not fit.
    """
    folder = Path(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _reading(folder / "reference.json") as path:
        manifest = read_object(path)
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"has schema {manifest['schema']}, expected {SCHEMA}")
        _check_kinds(manifest)
        name, size = manifest["extractor"], manifest["num_features"]
    classifier = None
    if manifest["classifier"] is not None:
        classifier = load_classifier(folder / "classifier.safetensors")
        _check_weights(classifier, manifest["classifier"], folder)
    if name == "classifier":
        assert classifier is not None
        extractor: Extractor = classifier
    else:
        extractor = load_extractor(name, inception_path=inception_path)
        _check_weights(extractor, manifest["protocol"], folder)
    with _reading(folder / "statistics.npz") as path:
        with np.load(path, allow_pickle=False) as stored:
            mean, cov = stored["mean"], stored["cov"]
            indices = [stored["train_indices"], stored["held_out_indices"]]
        if [len(side) for side in indices] != [manifest["num_train"], manifest["num_held_out"]]:
            raise ValueError("names other images than reference.json counts")
        if mean.shape != (size,) or cov.shape != (size, size):
            raise ValueError(f"has shapes {mean.shape} and {cov.shape}")
    return Reference(
        extractor=extractor.to(device),
        classifier=None if classifier is None else classifier.to(device),
        train_features=_load_features(folder / "train_features.npy", manifest["num_train"], size),
        held_out_features=_load_features(
            folder / "held_out_features.npy", manifest["num_held_out"], size
        ),
        train_mean=mean,
        train_cov=cov,
        manifest=manifest,
        train_indices=indices[0],
        held_out_indices=indices[1],
    )


def _can_classify(dataset: RealImages) -> bool:
    """Whether the train split has labels of at least 2, and not too many, classes."""
    classes, count = compared_classes(dataset)
    labels = classes[dataset.train_indices]
    present = len(np.unique(labels[labels >= 0]))
    return present >= 2 and count <= MAX_CLASSES


def _check_kinds(manifest: dict) -> None:
    """Raise ValueError or KeyError unless the manifest holds what loading reads, of these kinds."""
    kinds = {"extractor": str, "num_features": int, "num_train": int, "num_held_out": int}
    for key, kind in kinds.items():
        if not isinstance(manifest[key], kind):
            raise ValueError(f"{key} is {manifest[key]!r:.60}")
    for key in ("protocol", "classifier"):
        part = manifest[key]
        if not isinstance(part, dict) and (key == "protocol" or part is not None):
            raise ValueError(f"{key} is {part!r:.60}")
        if part is not None and not isinstance(part["weights_sha256"], str):
            raise ValueError(f"{key} names no weights")
    if manifest["extractor"] == "classifier" and manifest["classifier"] is None:
        raise ValueError("it names the classifier, and describes none")


def _check_weights(network: Extractor, protocol: dict, folder: Path) -> None:
    if network.protocol()["weights_sha256"] != protocol["weights_sha256"]:
        raise ValueError(
            f"{folder}: the {network.name} weights are not those that the features were made "
            f"with: run the reference stage again"
        )


def _load_features(path: Path, count: int, size: int) -> np.ndarray:
    with _reading(path):
        features = np.load(path, mmap_mode="r", allow_pickle=False)
        if features.shape != (count, size) or features.dtype != np.float32:
            raise ValueError(f"is {features.dtype} {features.shape}, not float32 {(count, size)}")
    return features


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Context in which errors of reading the file become a ValueError that names it."""
    try:
        yield path
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: run the reference stage") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}): run the reference stage again") from error


def _write_statistics(path: Path, **arrays: np.ndarray) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # which takes allow_pickle besides


def _step(
    progress: Callable[[str, int, int], None] | None, what: str
) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)
