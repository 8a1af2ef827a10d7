"""From what a user asks for to an `Edit`: which wishes go together, and the picture's data."""

from typing import TYPE_CHECKING

from sampling.editing.edit import RESAMPLE, Edit, check_passes
from sampling.editing.picture_input import Given, cells, read_mask, read_picture
from sampling.editing.strength import check_strength

if TYPE_CHECKING:
    from models.codecs.table import Codec


def check_wanted(
    image: Given | None,
    mask: Given | None,
    strength: float | None,
    resample: int | None,
    dashes: str = "",
) -> None:
    """Raise ValueError for wishes that do not go together; it reads no file.

    dashes: "--" where they are options of a command, for the messages.
    """
    wished = {"mask": mask, "strength": strength, "resample": resample}
    for name, wish in wished.items():
        if image is None and wish is not None:
            raise ValueError(
                f"{dashes}{name} is of an image that is edited: give {dashes}image too"
            )
    if image is None:
        return
    if mask is None and strength is None:
        raise ValueError(
            f"{dashes}image: say how it is edited: {dashes}mask (white is drawn anew), "
            f"{dashes}strength (0.6 noises and denoises it), or both"
        )
    if mask is None and resample is not None:
        raise ValueError(
            f"{dashes}resample fits what is drawn to what is known: give {dashes}mask too, or "
            "leave it out"
        )
    if strength is not None:
        check_strength(strength, f"{dashes}strength")
    if resample is not None:
        check_passes(resample, f"{dashes}resample")


def wanted_edit(
    codec: "Codec",
    data_shape: tuple[int, int, int],
    image: Given | None,
    mask: Given | None = None,
    strength: float | None = None,
    resample: int | None = None,
    dashes: str = "",
) -> Edit | None:
    """The edit that is asked for, in the data space of a denoiser; None without an image.

    codec, data_shape: of the denoiser. mask: white is drawn anew; None: everything. strength: None
    is 1, all that is drawn is forgotten. resample: None is 10 with a mask. In latents a cell is
    drawn anew if any of its pixels is. Raises ValueError, also for pictures that do not fit.
    """
    check_wanted(image, mask, strength, resample, dashes)
    if image is None:
        return None
    shape = codec.shown_shape(data_shape)
    picture = read_picture(image, shape, f"{dashes}image")
    drawn = None if mask is None else read_mask(mask, shape[1:], f"{dashes}mask")
    return Edit(
        image=codec.of_pictures(picture[None])[0].numpy(),
        drawn=None if drawn is None else cells(drawn, data_shape[1:]),
        strength=1.0 if strength is None else float(strength),
        resample=RESAMPLE if resample is None else int(resample),
        picture=picture,
        drawn_in_picture=drawn,
    )
