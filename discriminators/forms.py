"""The forms of discriminator behind structure.kind, each imported only where it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from discriminators.config import DiscriminatorConfig
from foundation.did_you_mean import check_name

if TYPE_CHECKING:  # names of forms are checked where no network is wanted
    from discriminators.form import Form


def graph(num_features: int, config: DiscriminatorConfig) -> "Form":
    """Graph convolutions over the neighbour graph of a batch."""
    from discriminators.graph import GraphDiscriminator

    return GraphDiscriminator(num_features, config)


def per_sample(num_features: int, config: DiscriminatorConfig) -> "Form":
    """The same network without edges."""
    from discriminators.graph import PerSampleDiscriminator

    return PerSampleDiscriminator(num_features, config)


def affinity(num_features: int, config: DiscriminatorConfig) -> "Form":
    """The similarities of fakes to one another, compared with those of their sources."""
    from discriminators.affinity import AffinityDiscriminator

    return AffinityDiscriminator(num_features, config)


def tangent(num_features: int, config: DiscriminatorConfig) -> "Form":
    """Where each sample lies beside the tangent plane of its nearest real images."""
    from discriminators.anchored import TangentDiscriminator

    return TangentDiscriminator(num_features, config)


def bank(num_features: int, config: DiscriminatorConfig) -> "Form":
    """Edges into a bank of real images."""
    from discriminators.anchored import BankDiscriminator

    return BankDiscriminator(num_features, config)


def two_bank(num_features: int, config: DiscriminatorConfig) -> "Form":
    """Edges into a bank of real images and into one of recent fakes."""
    from discriminators.anchored import TwoBankDiscriminator

    return TwoBankDiscriminator(num_features, config)


def law(num_features: int, config: DiscriminatorConfig) -> "Form":
    """No opponent: the distance between the laws of tangent's statistics."""
    from discriminators.unopposed import LawDistance

    return LawDistance(num_features, config)


def kernel(num_features: int, config: DiscriminatorConfig) -> "Form":
    """No opponent: kernels pull towards the bank and push away from other fakes."""
    from discriminators.unopposed import KernelDistance

    return KernelDistance(num_features, config)


def fd(num_features: int, config: DiscriminatorConfig) -> "Form":
    """No opponent: the Frechet distance to the bank."""
    from discriminators.unopposed import FrechetDistance

    return FrechetDistance(num_features, config)


UNOPPOSED = ("law", "kernel", "fd")
"""Kinds without a discriminator that learns: no accuracy shuts their gate."""
BESIDE_A_BANK = ("tangent", "bank", "two_bank", *UNOPPOSED)
"""Kinds that look into a bank of real images."""

FORMS: dict[str, Callable[[int, DiscriminatorConfig], "Form"]] = {
    "graph": graph,
    "per_sample": per_sample,
    "affinity": affinity,
    "tangent": tangent,
    "bank": bank,
    "two_bank": two_bank,
    "law": law,
    "kernel": kernel,
    "fd": fd,
}
"""A new form is one class that keeps the interface of discriminators/form.py."""


def make_form(config: DiscriminatorConfig, num_features: int, seed: int) -> "Form":
    """The discriminator of `config.kind` for features [N, num_features].

    Its first weights depend on `seed` alone; torch's global generator is left as it was.
    Raises ValueError for an unknown kind.
    """
    import torch

    check_name("discriminator", config.kind, FORMS)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs too
        return FORMS[config.kind](num_features, config)
