"""What the card of a student says besides: which kind it is, of which teacher, where it is called.

The mapping `student` is the entry of that name in the description of its weights.
"""

from collections.abc import Mapping
from typing import Any

from foundation.number_names import number_name

WAYS = {
    "distribution_matching": "distribution matching (DMD2, arXiv 2405.14867)",
    "consistency": "consistency training (ECT, arXiv 2406.14548)",
    "ddo": "direct discriminative optimization (DDO, arXiv 2503.01103)",
    "regression": "regression on images that its teacher drew of known noise (arXiv 2101.02388)",
}


def what_student(student: Mapping[str, Any], images: str) -> str:
    """The first sentences. images: "8x8 grey images in 10 classes"."""
    kind = str(student.get("kind"))
    teacher = "a denoising diffusion model"
    if student.get("teacher_length") is not None:
        teacher += f" (its average of EMA length {number_name(student['teacher_length'])}"
        known = student.get("teacher_sha256")
        teacher += f", sha256 of the weights file `{known}`)" if known else ")"
    whole = student.get("follows_paths") is True
    what = "a denoiser" if whole else "a network that draws an image in few evaluations"
    return (
        f"A student (EDM preconditioning, magnitude-preserving layers) of {images}: {what}, made "
        f"by {WAYS.get(kind, kind)} from its teacher, {teacher}.\n{where_called(student)}"
    )


def where_called(student: Mapping[str, Any]) -> str:
    """At which noise levels the student may be called."""
    if student.get("follows_paths") is True:
        return "It is a denoiser of full length, which any sampler of many steps may call."
    levels = student.get("levels")
    if levels is None:
        return (
            "It may be called at any noise level, with solver consistency and one level for each "
            "evaluation, from high to low; it takes no guidance."
        )
    listed = ", ".join(map(number_name, levels))
    few, order = "one noise level", ""
    if len(levels) > 1:
        few, order = "these noise levels", " in this order, or the first of them alone"
    return (
        f"It was trained for {few} and may be called at no other: {listed}{order}; it takes no "
        "guidance."
    )
