"""Starts a denoiser from the weights of another run: all of them, or what both have in common."""

from pathlib import Path

from models.denoiser import Denoiser
from models.transfer.copied import Copied, Taken
from models.transfer.labels import of_labels, with_own_words
from models.transfer.overlap import overlapping
from models.transfer.stored import Stored, read_stored
from models.weights import WeightsError


def initialise_from(denoiser: Denoiser, path: str | Path) -> list[str]:
    """Copy given weights into `denoiser` (fine-tuning); returns the names that kept fresh values.

    These are a label embedding for another number of classes, and adapters that the file lacks or
    holds at another rank. Where both name the same classes in another order, the embedding goes by
    the names; of a table of words, the words that both know are taken over. Raises WeightsError,
    naming the first, if any other tensor is missing, has another shape, or is unknown here.
    """
    return list(copy_from(denoiser, path).fresh)


def copy_from(denoiser: Denoiser, path: str | Path, *, overlap: bool = False) -> Copied:
    """Copy given weights into `denoiser`; returns what was made of its tensors.

    overlap: of tensors of other shapes the part that both have is copied, by
    models/transfer/overlap.py, so that the weights may be of another resolution, width, depth, list
    of classes or number of image channels. Otherwise as `initialise_from`.

    Raises WeightsError, naming train.init_from, if the weights are damaged or do not fit.
    """
    stored = read_stored(denoiser, path)
    try:
        taken, left = (overlapping if overlap else _matching)(denoiser, stored)
    except WeightsError:
        raise
    except ValueError as error:
        raise WeightsError(f"train.init_from: the JSON beside {path} {error}") from None
    denoiser.load_state_dict({name: one.tensor for name, one in taken.items()}, strict=False)
    whole = tuple(name for name, one in taken.items() if one.whole)
    sizes = {n: p.numel() for n, p in denoiser.named_parameters() if ".adapters." not in n}
    return Copied(
        str(path),
        whole,
        tuple(name for name in taken if name not in whole),
        tuple(name for name in denoiser.state_dict() if name not in taken),
        tuple(left),
        sum(one.numbers for name, one in taken.items() if name in sizes),
        sum(sizes.values()),
    )


def _matching(denoiser: Denoiser, stored: Stored) -> tuple[dict[str, Taken], list[str]]:
    """All tensors but those that may differ. Raises WeightsError, naming the first that does."""
    path, tensors = stored.path, stored.tensors
    tensors = with_own_words(denoiser, stored.description, tensors)
    own = denoiser.state_dict()
    fresh = [
        n for n in own if _may_differ(n) and (n not in tensors or tensors[n].shape != own[n].shape)
    ]
    for name, tensor in own.items():
        if name in fresh:
            continue
        if name not in tensors:
            raise WeightsError(
                f"train.init_from: {path} has no tensor {name}: its model section "
                "must match params.yaml, or set train.init_copy: overlap"
            )
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"train.init_from: {name} is {list(tensors[name].shape)} in {path} but "
                f"{list(tensor.shape)} here: make the model and dataset sections of params.yaml "
                "match, or set train.init_copy: overlap"
            )
    unknown = [n for n in tensors if n not in own and not _may_differ(n)]
    if unknown:
        raise WeightsError(
            f"train.init_from: {path} has a tensor {unknown[0]} that this model lacks: "
            "make the model section of params.yaml match, or set train.init_copy: overlap"
        )
    taken = {
        n: Taken(t, t.numel(), whole=t is stored.tensors[n])
        for n, t in tensors.items()
        if n in own and n not in fresh
    }
    return taken, [n for n in tensors if n not in taken]


def _may_differ(name: str) -> bool:
    return of_labels(name) or ".adapters." in name
