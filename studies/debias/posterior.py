"""What is known of a noisy image's value: by the predictor, by its bank, by Bayes' rule?

  python -m studies.debias.posterior --weights DENOISER.safetensors --source outputs/dataset \\
      --values "Sneaker:0.9,Ankle boot:0.1"

Prints the cross-entropy (nats) on held-out images with the shares of the training images, for
noise levels from 0.5 to 40: of the hidden state alone, of the predictor with its bank, of Bayes'
rule on the labelled images alone and on all training images with their labels, which no predictor
of a few labels can have.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from studies.debias.unit import Given

SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0)
NOISES = 4
"""Noisy versions of each held-out image."""
HELD_OUT = 1000


def main(arguments: list[str] | None = None) -> None:
    """Train the predictors, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.debias.posterior",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="an unconditional denoiser (.safetensors)")
    add("--source", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--values", required=True, metavar="A:SHARE,B:SHARE", help="shares of the training images")
    add("--params", default="presets/fashion_mnist.yaml", help="default: %(default)s")
    add("--work", type=Path, default=Path(".runs/studies/debias"), metavar="FOLDER")
    add("--train-images", type=int, default=5000, help="default: %(default)s")
    add("--held-out", type=int, default=1500, help="of each class (default: %(default)s)")
    add("--labelled", type=int, default=200, help="labelled images (default: %(default)s)")
    add("--seed", type=int, default=20, help="of the labelled images (default: %(default)s)")
    options = parser.parse_args(arguments)
    from pipelines.params import load_params
    from studies.debias.__main__ import shares
    from studies.debias.unit import Given
    from studies.tables import markdown

    try:
        wanted = shares("--values", options.values)
        params = load_params(options.params)
        given = Given(
            *("posterior", params, options.source, wanted, wanted, None, options.work),
            rows=options.work,
            train_images=options.train_images,
            held_out=options.held_out,
            labelled=options.labelled,
        )
        lines = measured(given, options.weights, options.seed)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    head = ["sigma", "hidden state", "with bank", "Bayes, labelled", "Bayes, all"]
    print(markdown(head, lines))


def measured(given: "Given", weights: Path, seed: int) -> list[list[str]]:
    """The table's lines."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from dataset.classes import numbered
    from models.attribute_bank import AttributeBank
    from models.denoiser import load_denoiser
    from studies.debias.unit import datasets
    from training.attributes.bank import unlabelled_images
    from training.attributes.config import AttributeConfig
    from training.attributes.labelled_images import labelled_rows
    from training.attributes.predictor import fit

    dataset, denoiser = datasets(given)["plain"], load_denoiser(weights)
    names = list(given.shares)
    every = torch.from_numpy(numbered(dataset, names, "there are no values")[1])

    def images(rows: np.ndarray) -> torch.Tensor:
        return denoiser.codec.encode(dataset.stored(np.array(rows))[0])

    rows, values, _ = labelled_rows(dataset, names, given.labelled, seed)
    bank = AttributeConfig().bank
    others = unlabelled_images(denoiser, dataset, dataset.train_indices, rows, bank, seed)
    predictor = fit(
        *(denoiser, images(rows), values, names, given.params.noise),
        seed=seed,
        unlabelled=others,
    ).predictor
    known = {
        "labelled": AttributeBank(images(rows), F.one_hot(values, len(names)).float()),
        "all": AttributeBank(
            images(dataset.train_indices),
            F.one_hot(every[np.array(dataset.train_indices)], len(names)).float(),
        ),
    }
    asked = held_out_rows(every.numpy(), dataset.held_out_indices, given)
    clean, answers = images(asked).repeat(NOISES, 1, 1, 1), every[asked].repeat(NOISES)
    lines = []
    for sigma in SIGMAS:
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
        parts = (clean + sigma * noise).split(250)
        columns = (
            lambda x, s: predictor(denoiser.encode(x, s)).log_softmax(1),
            lambda x, s: predictor.log_probs(denoiser, x, s),
            known["labelled"].log_probs,
            known["all"].log_probs,
        )
        with torch.no_grad():
            logs = [
                torch.cat([of(x, torch.full((len(x),), sigma)) for x in parts]) for of in columns
            ]
        lines.append([f"{sigma:g}", *(f"{float(F.nll_loss(one, answers)):.3f}" for one in logs)])
    return lines


def held_out_rows(values: "np.ndarray", held_out: "np.ndarray", given: "Given") -> "np.ndarray":
    """Rows of held-out images, int64, with the shares of the training images, at most HELD_OUT."""
    import numpy as np

    rows = [held_out[values[held_out] == number] for number in range(len(given.shares))]
    share_of = list(given.shares.values())
    total = min(HELD_OUT, *(len(own) / share for own, share in zip(rows, share_of, strict=True)))
    parts = [own[: int(total * share)] for own, share in zip(rows, share_of, strict=True)]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
