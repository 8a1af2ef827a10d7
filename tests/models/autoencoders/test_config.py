"""What settings of an autoencoder are refused with."""

import pytest
from pydantic import ValidationError

from models.autoencoders.config import KLConfig


def test_a_factor_that_does_not_divide_the_picture_names_those_that_do():
    assert KLConfig(factor=4).refusal(64, 3) is None and KLConfig(factor=4).latent_side(64) == 16
    assert KLConfig(factor=8).refusal(28, 1) == (
        ".factor: 8 does not divide pictures of 28x28 (dataset.resolution): use 2 or 4"
    )
    assert KLConfig(factor=2).refusal(27, 1).endswith("use an even resolution, or kind pca")


def test_a_divergence_that_would_never_count_is_refused():
    with pytest.raises(ValidationError, match="kl_start_kimg: the divergence would begin at 50"):
        KLConfig(kl_start_kimg=50.0, total_kimg=20.0)
    KLConfig(kl_start_kimg=50.0, total_kimg=20.0, kl_weight=0.0)
