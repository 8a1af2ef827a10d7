"""The forms of discriminator behind structure.kind."""

import torch

from discriminators.affinity import AffinityDiscriminator
from discriminators.config import DiscriminatorConfig
from discriminators.form import Form
from discriminators.graph import GraphDiscriminator, PerSampleDiscriminator

FORMS: dict[str, type[GraphDiscriminator] | type[AffinityDiscriminator]] = {
    "graph": GraphDiscriminator,
    "per_sample": PerSampleDiscriminator,
    "affinity": AffinityDiscriminator,
}


def make_form(config: DiscriminatorConfig, num_features: int, seed: int) -> Form:
    """The discriminator of `config.kind` for features [N, num_features].

    Its first weights depend on `seed` alone; torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs too
        return FORMS[config.kind](num_features, config)
