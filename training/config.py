"""Frozen settings of training: its length, speed and precision, and its noise levels."""

from typing import Annotated, Literal

from pydantic import Field

from foundation.bounds import IMAGES_AT_ONCE, KIMG, AtMost
from foundation.settings_base import Settings, left_out_at
from training.noise.config import NoiseConfig

__all__ = ["NoiseConfig", "TrainConfig"]

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Rate = Annotated[
    float, Field(gt=0), AtMost(100, "Adam moves each weight by about so much, and all are near 1")
]


class TrainConfig(Settings):
    """Length, speed and precision of training. kimg = 1,000 training images seen."""

    method: str = "denoising"
    """Method of training, a name in training/methods/table.py: denoising. The structure game is
    added to it by structure.kind."""
    total_kimg: Annotated[Positive, KIMG] = 400.0
    """Training length (kimg)."""
    batch_size: Annotated[int, Field(ge=2), IMAGES_AT_ONCE] = 128
    """Images per optimiser step, over all workers."""
    optimizer: Annotated[Literal["adam", "adamw", "muon"], left_out_at("adam")] = "adam"
    """adam; adamw, with weight_decay; muon, which makes the steps of weight matrices orthogonal
    (docs/convergence.md)."""
    lr: Rate = 0.01
    """Peak learning rate; magnitude-preserving weights take rates near 0.01 with adam and adamw,
    near 0.1 with muon."""
    weight_decay: Annotated[
        float, Field(ge=0), AtMost(10, "gains would vanish"), left_out_at(0.01)
    ] = 0.01
    """Decay of adamw. Rows of weights are normalised after each step, so of them it only raises the
    rate, by lr * weight_decay; gains do decay."""
    lr_ramp_kimg: Annotated[NonNegative, KIMG] = 10.0
    """Linear ramp from 0 at the start (kimg)."""
    lr_decay_kimg: Annotated[NonNegative, KIMG] = 100.0
    """Start of the inverse square root decay (kimg); 0: constant rate."""
    adam_betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.99,
    )
    """Adam's moment decays."""
    grad_clip: Positive = 1.0e6
    """Largest norm of a step's gradient; longer ones are scaled down."""
    max_bad_steps: Annotated[
        int, Field(ge=1), AtMost(1_000_000, "such a training learns nothing any more")
    ] = 20
    """Steps in a row with a non-finite gradient before training stops; each is skipped."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: autocast of the network, for GPUs; weights, averages and losses stay fp32. Many
    processors are up to 18 times slower in bf16 than in fp32, as training says at its start."""
    compile: bool = False
    """Compile the network, which takes minutes at the start: for long GPU runs."""
    horizontal_flip: bool = False
    """Mirror half of the training images; wrong for digits and letters."""
    init_from: str | None = None
    """Weights to start from, for fine-tuning: a .safetensors file or an exported folder; null:
    random."""
    init_copy: Annotated[Literal["matching", "overlap"], left_out_at("matching")] = "matching"
    """matching: the weights of init_from must be of this very network, but for the label embedding.
    overlap: of another resolution, width, depth, list of classes or number of image channels, what
    both have in common is copied (docs/convergence.md)."""
    tuned: Annotated[Literal["all", "gains", "adapter"], left_out_at("all")] = "all"
    """What of init_from is trained: all weights; gains, with the label embedding; or a low-rank
    adapter upon all weights, which is merged into those that are stored. The others never
    change."""
    tuned_rank: Annotated[int, Field(ge=1, le=1024), left_out_at(8)] = 8
    """Rank of the adapter of tuned: adapter, less in smaller layers."""
    log_every_kimg: Annotated[Positive, KIMG] = 4.0
    """Images between two points of the loss curve (kimg)."""
    held_out_every_kimg: Annotated[Positive, KIMG] = 25.0
    """Images between two measurements of the held-out denoising loss (kimg)."""
    held_out_images: Annotated[
        int, Field(ge=8), AtMost(1_000_000, "their noise is kept in memory")
    ] = 256
    """Held-out images, and as many training images, on which the loss is measured."""
    sigma_bins: Annotated[int, Field(ge=1, le=32)] = 8
    """Noise-level bins of the held-out loss, equally likely under the training distribution."""
