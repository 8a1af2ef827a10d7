"""Pictures from a denoiser in one call."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.denoiser import Denoiser, asking, load_denoiser
from sampling.class_words import class_numbers
from sampling.config import SamplerConfig
from sampling.editing.picture_input import Given
from sampling.editing.wanted import check_wanted, wanted_edit
from sampling.from_weights import generate_pictures
from sampling.request import GenerationRequest
from sampling.stored_sampler import check_student, load_sampler


def generate(
    denoiser: Denoiser | str | Path,
    count: int = 64,
    *,
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    labels: Sequence[int | str] | None = None,
    prompts: str | Sequence[str] | None = None,
    image: Given | None = None,
    mask: Given | None = None,
    strength: float | None = None,
    resample: int | None = None,
    batch_size: int = 256,
    progress: Callable[[int, int | None], None] | None = None,
) -> np.ndarray:
    """Draw `count` pictures; picture i depends on (seed, i) and its label alone.

    Args:
        denoiser: from `load_denoiser`, or the path of its .safetensors file or exported folder.
        sampler: None: that of the exported folder whose path is given, else Heun with 18 steps.
        labels: class numbers or names, repeated in turn; -1: unconditional. None: all classes in
            turn, or unconditional where the denoiser has none.
        prompts: in place of labels, for a denoiser that reads text (model.text): what the pictures
            show, in words, in turn. Words that it does not know are left out, with a warning.
        image: a picture that is edited: a file, a Pillow image, or uint8 [H, W] or [H, W, C] (array
            or tensor) of the size that the denoiser draws. The pictures are so many results.
        mask: of its size, bool [H, W] or a picture: what is True or white is drawn anew; all else
            is returned bit for bit. None: everything is drawn.
        strength: share of the sampler's last steps that are run: 0 returns the image, 1 forgets it.
            None: 1, and a mask is needed.
        resample: with a mask, how often each step is run (None: 10), so that what is drawn fits
            what is known.
        batch_size: pictures drawn at once; decides no picture but for rounding.
        progress: called with (pictures done, count).

    Returns:
        uint8 [count, H, W, C]. Raises ValueError for a label that the denoiser does not have, for
        a prompt of which it knows no word, for an image, mask or strength that does not fit, and
        for an argument of another type.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(f"count {count!r:.80}: give a whole number of pictures, at least 1")
    check_wanted(image, mask, strength, resample)
    loaded, request = asked(denoiser, range(count), sampler, seed, labels, batch_size, prompts)
    edit = wanted_edit(loaded.codec, loaded.image_shape, image, mask, strength, resample)
    request = replace(request, edit=edit)
    return generate_pictures(loaded, request, progress)


def asked(
    denoiser: Denoiser | str | Path,
    numbers: Sequence[int],
    sampler: SamplerConfig | None,
    seed: int,
    labels: Sequence[int | str] | None,
    batch_size: int = 256,
    prompts: str | Sequence[str] | None = None,
) -> tuple[Denoiser, GenerationRequest]:
    """The loaded denoiser, and the request for pictures of these numbers; see `generate`.

    With prompts it is a denoiser whose labels are these; one that was given keeps its own.
    """
    if sampler is not None and not isinstance(sampler, SamplerConfig):
        raise ValueError(
            f"sampler {sampler!r:.80}: give a sadm.SamplerConfig, such as "
            f"sadm.SamplerConfig(steps=8), or sadm.load_params().sampling[NAME] for one that "
            "params.yaml names"
        )
    if not isinstance(denoiser, Denoiser | str | Path):
        raise ValueError(
            f"denoiser {denoiser!r:.80}: give what sadm.load_denoiser returns, or the path of "
            "weights"
        )
    if not isinstance(denoiser, Denoiser):
        sampler = sampler or load_sampler(denoiser)
        check_student(denoiser, sampler)
        denoiser = load_denoiser(denoiser)
    texts = _texts(prompts, labels)
    if texts:
        denoiser, remarks = asking(denoiser, texts)
        for remark in remarks:
            warnings.warn(remark, stacklevel=3)
    wanted = wanted_classes(denoiser, labels)
    request = GenerationRequest(
        sampler=sampler or SamplerConfig(),
        seed=seed,
        indices=numbers,
        labels=np.resize(np.asarray(wanted, np.int64), len(numbers)),
        batch_size=batch_size,
        prompts=texts,
    )
    return denoiser, request


def _texts(
    prompts: str | Sequence[str] | None, labels: Sequence[int | str] | None
) -> tuple[str, ...]:
    """The prompts, () without any. Raises ValueError for other types, and beside labels."""
    if prompts is None:
        return ()
    texts = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"prompts {prompts!r:.80}: give a text, or several in a list")
    if labels is not None:
        raise ValueError("labels and prompts both say what pictures show: give one of the two")
    return texts


def wanted_classes(denoiser: Denoiser, labels: Sequence[int | str] | None) -> list[int]:
    """Class numbers of `labels`; None: all classes, or -1 where the denoiser has none."""
    if labels is None:
        return list(range(denoiser.num_classes) or [-1])
    return class_numbers(labels, denoiser.label_names, denoiser.num_classes)
