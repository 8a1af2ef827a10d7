"""The player that tunes a part of a denoiser and leaves its other weights bitwise as they are."""

from functools import partial

from models.denoiser import Denoiser
from models.layers.low_rank_adapter import add_adapters, keep_on
from models.power_ema import PowerEMA
from training.initial_weights import drawn_by
from training.learning_rates import learning_rate
from training.optimizers import make_optimizer
from training.players import Player
from training.run_settings import RunSettings

ADAPTER = "tuned"
"""Name of the adapter of train.tuned: adapter; stored weights name it under "merge"."""
WITH_GAINS = (
    "unet.label_embedding.weight",
    "conditions.table.weight",
    "unet.null_token.row.weight",
    "uncertainty.weight",
)
"""Tensors that are trained beside the gains: vectors of classes, words and of no text, and the
learned uncertainty, which weighs the loss and changes no image."""


def gain_names(denoiser: Denoiser) -> frozenset[str]:
    """Names of the parameters of train.tuned: gains (after DiffFit, arXiv 2304.06648).

    DiffFit trains biases, the scales of normalisation, further scales, and the embedding of
    classes. Magnitude-preserving layers have neither biases nor such scales: their gains remain,
    each a single number.
    """
    return frozenset(
        name for name, p in denoiser.named_parameters() if p.ndim == 0 or name in WITH_GAINS
    )


def tuned_player(settings: RunSettings, denoiser: Denoiser) -> Player:
    """A player that trains, averages and saves what `train.tuned` names, gains or an adapter.

    All other parameters need no gradient from now on. The adapter (LoRA, arXiv 2106.09685) changes
    nothing at first, and acts from now on.
    """
    train = settings.train
    denoiser.requires_grad_(False)
    if train.tuned == "adapter":
        with drawn_by(f"adapter {ADAPTER}", settings.seed):
            add_adapters(denoiser, ADAPTER, train.tuned_rank)
        keep_on(denoiser, ADAPTER)
        names = frozenset(n for n, p in denoiser.named_parameters() if p.requires_grad)
    else:
        names = gain_names(denoiser)
    named = [(n, p.requires_grad_()) for n, p in denoiser.named_parameters() if n in names]
    return Player(
        network=denoiser,
        optimizer=make_optimizer(denoiser, [{"params": [p for _, p in named]}], train),
        rates={"lr": partial(learning_rate, settings)},
        clip=train.grad_clip,
        averages=PowerEMA(named, settings.ema.tracked),
        adapter=ADAPTER if train.tuned == "adapter" else None,
        tuned=frozenset() if train.tuned == "adapter" else names,
    )
