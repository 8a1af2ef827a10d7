"""A pipeline of diffusers that draws images from an exported folder.

    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained("FOLDER", trust_remote_code=True)
    pipe(16, class_labels=[3]).images[0].save("three.png")

diffusers' own U-Nets have no magnitude-preserving layers, so the denoiser, solvers and guidance are
this project's; the images are those of `sadm.generate`. diffusers is an optional package:
pip install '.[diffusers]'.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image

from models.denoiser import Denoiser, load_denoiser
from sadm.pictures import generate
from sampling.stored_sampler import read_sampler

DiffusionPipeline: Any = diffusers.DiffusionPipeline  # diffusers' types depend on what is installed


class StoredDenoiser(Denoiser):
    """Loads the denoiser of an exported folder in the way in which diffusers loads components."""

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        torch_dtype: torch.dtype | None = None,
        dtype: torch.dtype | None = None,
        **_: Any,
    ) -> Denoiser:
        """The denoiser in `folder`, its weights in `dtype` (`torch_dtype` of older diffusers).

        Raises WeightsError.
        """
        denoiser, wanted = load_denoiser(folder), dtype or torch_dtype
        return denoiser if wanted is None else denoiser.to(wanted)


class StructurePipeline(DiffusionPipeline):
    """Images from noise by this project's denoiser and samplers.

    Args:
        denoiser: of the folder.
        sampler: settings of the folder's sampler, as `sampling` in params.yaml names them; those at
            their defaults may be left out.
    """

    def __init__(self, denoiser: Denoiser, sampler: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.register_modules(denoiser=denoiser)
        self.register_to_config(sampler=sampler or {})

    def __call__(
        self,
        num_images: int = 16,
        class_labels: Sequence[int | str] | None = None,
        seed: int = 0,
        num_inference_steps: int | None = None,
        sampler: dict[str, Any] | None = None,
        batch_size: int = 256,
        output_type: str = "pil",
        return_dict: bool = True,
        prompt: str | Sequence[str] | None = None,
    ) -> Any:
        """Draw images 0 to num_images - 1 of a seed; image i depends on (seed, i) and its label.

        Args:
            class_labels: class numbers or names, repeated in turn; -1: unconditional. None: all
                classes in turn.
            seed: of the whole set of images. There is no `generator`, since an image must not
                depend on those drawn before it.
            num_inference_steps: None: those of the sampler.
            sampler: settings in place of the folder's.
            batch_size: images drawn at once; decides no image but for rounding.
            output_type: "pil" for pictures, "np" for float32 [N, H, W, C] in [0, 1].
            return_dict: False: a tuple, the images alone in it.
            prompt: in place of class_labels, for weights that read text: what the images show, in
                words; of several, in turn.

        Raises ValueError for an unknown label, setting or output_type, and for a prompt of which
        the weights know no word.
        """
        if output_type not in ("pil", "np"):
            raise ValueError(f"output_type {output_type!r}: give 'pil' or 'np'")
        settings = dict(self.config.sampler if sampler is None else sampler)
        if num_inference_steps is not None:
            settings["steps"] = num_inference_steps
        chosen = read_sampler(settings)
        with self.progress_bar(total=num_images) as bar:
            images = generate(
                self.denoiser,
                num_images,
                sampler=chosen,
                seed=seed,
                labels=class_labels,
                prompts=prompt,
                batch_size=batch_size,
                progress=lambda done, total: bar.update(done - bar.n),
            )
        shown: list[Image.Image] | np.ndarray = [
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image) for image in images
        ]
        if output_type == "np":
            shown = images.astype(np.float32) / 255
        return diffusers.ImagePipelineOutput(images=shown) if return_dict else (shown,)

    def save_pretrained(self, *_: Any, **__: Any) -> None:
        """Not offered: an exported folder is copied as it is."""
        raise NotImplementedError(
            "save_pretrained: copy the folder from which this pipeline was loaded, or write one "
            "with python -m pipelines.export"
        )
