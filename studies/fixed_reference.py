"""Makes a reference whose classifier is a stored one, so that rows of other machines stand beside.

  python -m studies.fixed_reference --dataset outputs/dataset --out .runs/studies/reference \\
      --classifier studies/assets/fashion_mnist_16_classifier.safetensors

The stage `reference` trains the classifier whose features the images are compared by. Another
processor rounds its sums otherwise and gets another classifier, and other numbers with it; a study
that lasts longer than one machine needs the same classifier to the end.
"""

import argparse
from pathlib import Path

from pipelines.console.progress import phases


def main(arguments: list[str] | None = None) -> None:
    """Load the classifier, write the reference."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.fixed_reference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--classifier", type=Path, required=True, help="weights (.safetensors) of the classifier")
    add("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    from dataset.store import ImageDataset
    from evaluation.config import EvaluationConfig
    from evaluation.reference import build_reference
    from models.extractors.classifier import load_classifier

    try:
        dataset, classifier = ImageDataset(options.dataset), load_classifier(options.classifier)
        config = EvaluationConfig(extractor="classifier")
        with phases("reference") as report:
            build_reference(dataset, config, options.out, report, trained=classifier)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
