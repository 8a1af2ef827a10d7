"""Learning rates as functions of the images seen."""

from training.run_settings import RunSettings


def learning_rate(settings: RunSettings, nimg: int) -> float:
    """The rate after `nimg` images: linear ramp, then inverse square root decay (EDM2, Eq. 67)."""
    train = settings.train
    rate = train.lr
    if train.lr_decay_kimg > 0:
        rate /= max(nimg / (1000 * train.lr_decay_kimg), 1.0) ** 0.5
    if train.lr_ramp_kimg > 0:
        rate *= min(nimg / (1000 * train.lr_ramp_kimg), 1.0)
    return rate


def adapter_learning_rate(settings: RunSettings, nimg: int) -> float:
    """structure.adapter_lr at the game's start, falling linearly to 0 at the end of training."""
    structure, total = settings.structure, 1000 * settings.train.total_kimg
    start = min(1000 * structure.start_kimg, total)
    left = (total - nimg) / max(total - start, 1.0)
    return structure.adapter_lr * min(max(left, 0.0), 1.0)
