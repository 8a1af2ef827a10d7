"""The image that a command line edits."""

import argparse
from typing import TYPE_CHECKING

from foundation.counted import counted
from foundation.number_names import number_name
from pipelines.sampling_command.targets import view_of
from sampling.editing.strength import first_step
from sampling.editing.wanted import check_wanted, wanted_edit
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from models.denoiser import Denoiser
    from sampling.editing.edit import Edit


def check_editing(args: argparse.Namespace) -> None:
    """Raise ValueError where options of editing do not go together, or with a picture of a way."""
    check_wanted(args.image, args.mask, args.strength, args.resample, "--")
    view = view_of(args)
    if view and args.image is not None:
        raise ValueError(f"{view} shows how images come from noise: leave --image out")


def chosen_edit(args: argparse.Namespace, denoiser: "Denoiser") -> "Edit | None":
    """The edit that the command line asks for; None without --image. Raises ValueError."""
    return wanted_edit(
        denoiser.codec,
        denoiser.image_shape,
        args.image,
        args.mask,
        args.strength,
        args.resample,
        "--",
    )


def editing_note(request: GenerationRequest) -> str | None:
    """One line that says where an edit begins, what it draws and what it costs; None without."""
    edit, sampler = request.edit, request.sampler
    if edit is None:
        return None
    from sampling.editing.resampling import evaluations

    levels = [*sampler.visited_levels(), 0.0]
    steps = len(levels) - 1
    first = first_step(edit.strength, steps)
    if first == steps:
        return "strength 0: no step is run, and the image is returned"
    calls = evaluations(sampler.make_solver(), levels, edit.runs(steps))
    where = "everything is drawn anew"
    if edit.drawn_in_picture is not None:
        share = edit.drawn_in_picture.mean()
        where = f"{share:.0%} of the pixels are drawn anew"
    if edit.passes > 1:
        where += f", each step {edit.passes} times"
    return (
        f"strength {number_name(edit.strength)}: {steps - first} of {counted(steps, 'step')}, from "
        f"noise level {number_name(levels[first])}; {where}: {counted(calls, 'evaluation')} an "
        "image"
    )
