"""Stage prepare: turn a source of images into outputs/dataset/: pixels, labels, split, a sheet."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataset.class_counts import class_counts
from dataset.prepare import prepare_dataset
from dataset.suffixes import count_by_suffix, in_words
from evaluation.sheets.data_set import data_set_sheet
from foundation.atomic_files import replacing
from foundation.counted import counted
from pipelines.console.command import parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.stages.whole_folders import finish_folder
from pipelines.tracking.run_note import plain
from pipelines.tracking.stage_run import stage_run
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import DATASET, dvc_root
from pipelines.workspace.weights_files import check_autoencoder


def main() -> None:
    args = parser(__doc__).parse_args()
    params = load_params(args.params)
    check_autoencoder(params)  # raises here, before images are read that a later stage cannot use
    with progress("prepare: reading images") as bar:
        manifest = prepare_dataset(params.dataset, DATASET, bar, roots=(Path(), dvc_root()))
    draw_sheet(DATASET, manifest)
    finish_folder(DATASET)
    tag, fingerprint = pipeline_tag(params), stage_fingerprint("prepare", params)
    with stage_run("prepare", params, tag, fingerprint, root=dvc_root()) as run:
        run.log_dataset(manifest)
        run.log_artifact(DATASET / "dataset.json")
        run.log_artifact(DATASET / "sheet.png")
        counts = plain("; ".join(class_counts(manifest)))
        run.describe(counts, {DATASET / "sheet.png": "the data set"})
    number = manifest["num_classes"]
    classes = counted(number, "class") if number else "no classes"
    print(
        f"prepare: {manifest['num_train']} training and {manifest['num_held_out']} held-out images "
        f"of {manifest['resolution']}x{manifest['resolution']}x{manifest['channels']}, "
        f"{classes}, {counted(len(manifest['skipped']), 'file')} skipped"
    )
    for line in class_counts(manifest):
        print(f"prepare: {line}")
    what = "some images of each class" if manifest["num_classes"] else "some images"
    print(f"prepare: {what}: {DATASET / 'sheet.png'}")
    for remark in manifest["remarks"]:
        print(f"prepare: {remark}")
    for line in left_out(manifest):
        print(f"prepare: {line}")


def draw_sheet(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write sheet.png into the folder of a prepared data set."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    groups = folder / "groups.npy"  # of images with captions
    labels = np.load(groups if groups.exists() else folder / "labels.npy")
    sheet = data_set_sheet(images, labels, manifest["label_names"])
    with replacing(folder / "sheet.png") as temporary:
        sheet.save(temporary, "PNG")


def left_out(manifest: Mapping[str, Any]) -> list[str]:
    """A line for each kind of file that is not in the data set although it lay in the source."""
    lines = []
    if skipped := manifest["skipped"]:
        suffixes = in_words(count_by_suffix(item["file"] for item in skipped))
        (reason, _), *others = Counter(item["reason"] for item in skipped).most_common()
        lines.append(
            f"skipped, since they cannot be read: {suffixes} "
            f"({'most often: ' if others else ''}{reason}); dataset.json names each"
        )
    if manifest["empty_classes"]:
        lines.append(f"classes without a readable image: {', '.join(manifest['empty_classes'])}")
    if manifest["other_files"]:
        lines.append(f"left out, since they are no images: {in_words(manifest['other_files'])}")
    return lines


if __name__ == "__main__":
    run_stage(main)
