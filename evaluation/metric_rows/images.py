"""Rows of the metrics of generated images.

A floor is the same metric between real images and other real images.
"""

from evaluation.metric_rows.entry import CHARTED, DISTANCE, HEADLINE, MetricEntry

METRICS: dict[str, MetricEntry] = {
    "kid": MetricEntry(
        "KID",
        "Kernel distance of features, unbiased at any number of images.",
        "down",
        "0 if the distributions are equal; estimates of 0 scatter on both sides of it",
        DISTANCE,
        floor_beside=True,
    ),
    "fd": MetricEntry(
        "FD",
        "Fréchet distance of features, biased upwards at a small number of images.",
        "down",
        "its floor is what the bias alone gives",
        DISTANCE,
        floor_beside=True,
    ),
    **{
        f"{key}_reconstruction": MetricEntry(
            f"{key.upper()} of reconstructions",
            f"{key.upper()} of held-out images that went through the autoencoder.",
            "down",
            "decoded images cannot be better than reconstructions of real ones",
            ("replicate",),
        )
        for key in ("kid", "fd")
    },
    "reconstruction_psnr": MetricEntry(
        "PSNR of reconstructions",
        "Peak signal-to-noise ratio (dB) of held-out images that went through the autoencoder.",
        "up",
        "the autoencoder alone decides it",
        ("replicate",),
    ),
    "structure_gap": MetricEntry(
        "Structure gap",
        "Mean distance of four metrics of local structure from their floors.",
        "down",
        "0 if neighbourhoods are as among real images",
        (*CHARTED, "study figure"),
    ),
    "copy_ratio": MetricEntry(
        "Copy ratio",
        "Mean distance to the nearest training image over that to the nearest of as many unseen "
        "images.",
        "floor",
        "below its floor images move towards those of training, at 0 they are copies",
        CHARTED,
    ),
    "fairness_discrepancy": MetricEntry(
        "Fairness discrepancy",
        "Distance of the shares of classes from evaluation.target, corrected for the errors of the "
        "classifier that judges.",
        "down",
        "its floor is what the number of images alone gives",
        ("tile", "length chart", "replicate"),
    ),
    "fairness_discrepancy_uncorrected": MetricEntry(
        "Fairness discrepancy, uncorrected",
        "The same, as the classifier answers.",
        "down",
        "the classifier's errors alone give its floor",
    ),
    "share_error": MetricEntry(
        "Largest error of a share",
        "The largest difference between a class's corrected share and its share in "
        "evaluation.target.",
        "down",
        "its floor is what the number of images alone gives",
    ),
    "target_kid": MetricEntry(
        "KID to the target",
        "KID to held-out images whose classes are mixed as evaluation.target says.",
        "down",
        "right shares of broken images raise it",
        ("tile", "length chart", "replicate"),
    ),
    "conditional_accuracy": MetricEntry(
        "Conditional accuracy",
        "Share of images that a classifier reads as the label asked for.",
        "up",
        "its floor, which held-out images reach, is all that can be expected",
        (*CHARTED, "sweep"),
    ),
    "coverage": MetricEntry(
        "Coverage",
        "Share of real images with a generated image nearby.",
        "up",
        "real images left out lower it; its floor is all that can be expected",
        (*HEADLINE, "sweep"),
    ),
    "knn_two_sample": MetricEntry(
        "kNN two-sample score",
        "Share of an image's nearest neighbours that are of its own set, real or generated; 0.5: "
        "the sets cannot be told apart.",
        "floor",
        "above it the sets stand apart, below it generated images cling to single real ones",
        (*HEADLINE, "sweep"),
    ),
    "knn_distance_w1": MetricEntry(
        "W1 of kNN distances",
        "Wasserstein distance of the real and the generated neighbour distances.",
        "down",
        "its floor is what the number of images alone gives",
        ("study", "sweep"),
    ),
    "recall": MetricEntry(
        "Recall",
        "Share of real images inside the manifold of generated ones.",
        "up",
        "real images left out lower it; its floor is all that can be expected",
        ("study", "sweep"),
    ),
    "precision": MetricEntry(
        "Precision",
        "Share of generated images inside the manifold of real ones.",
        "floor",
        "above it images crowd where real ones are densest, below it they leave the real manifold",
        ("sweep",),
    ),
    "density": MetricEntry(
        "Density",
        "Number of real neighbourhoods that hold a generated image, over k.",
        "floor",
        "above it images crowd where real ones are densest, below it they leave the real manifold",
        ("sweep",),
    ),
    "lid_ratio": MetricEntry(
        "Intrinsic dimension, generated / real",
        "Local intrinsic dimension of generated images over that of real ones.",
        "floor",
        "below it images vary in too few ways, above it in too many",
        ("study",),
    ),
    "lid_log_ratio": MetricEntry(
        "Intrinsic dimension, |log ratio|",
        "Size of the logarithm of that ratio.",
        "down",
        "0 if the dimensions are equal",
    ),
    "lid_generated": MetricEntry(
        "Intrinsic dimension, generated",
        "Local intrinsic dimension of the generated images.",
        "floor",
        "its floor is the dimension of real images",
    ),
    "lid_real": MetricEntry(
        "Intrinsic dimension, real", "Local intrinsic dimension of the held-out images."
    ),
    "fd_train_full": MetricEntry(
        "FD to all training images",
        "Fréchet distance of all generated images to the whole train split.",
        "down",
        "but copies of training images lower it too",
    ),
}
