"""Rows of the curves of a training."""

from evaluation.metric_rows.entry import MetricEntry

# Curves of a training, over the images seen.
CURVES: dict[str, MetricEntry] = {
    "loss": MetricEntry(
        "Training loss",
        "Mean loss of the training steps, with the learned uncertainty.",
        "down",
        "though runs are compared by the denoising loss",
        ("MLflow curve",),
    ),
    "denoising_loss": MetricEntry(
        "Denoising loss",
        "Mean denoising loss of the training steps, each level of noise weighted as EDM does.",
        "down",
        "the denoiser's error",
        ("MLflow curve", "comparison curve"),
    ),
    "held_out/loss": MetricEntry(
        "Held-out loss",
        "Denoising loss of held-out images, with the same noise each time.",
        "down",
        "the denoiser's error on images that it has never seen",
        ("MLflow curve", "comparison curve", "sweep"),
    ),
    "held_out/train_loss": MetricEntry(
        "Training loss at fixed noise",
        "Denoising loss of as many training images, with the same noise each time.",
        "down",
        "the denoiser's error",
    ),
    "held_out/gap": MetricEntry(
        "Held-out minus training loss",
        "Difference of the two losses at fixed noise.",
        "down",
        "it grows when training images are memorised",
        ("MLflow curve", "comparison curve", "sweep"),
    ),
    "grad_norm": MetricEntry("Gradient norm", "Norm of the gradient before it is clipped."),
    "structure/lambda": MetricEntry(
        "Weight of the game, lambda",
        "Factor of the game's loss beside the denoising loss: 0 in plays with the gate shut, and "
        "for an adapter 1 in the others, so that its mean is their share.",
        shown=("comparison curve",),
    ),
    "structure/logit_gap": MetricEntry(
        "Logit gap of the discriminator",
        "Mean logit of real images minus that of fakes.",
        shown=("comparison curve",),
    ),
    "structure/gate_open": MetricEntry("Gate open", "Share of plays with the gate open."),
    "img_per_s": MetricEntry(
        "Images per second", "Training images seen in a second.", shown=("comparison curve",)
    ),
}
