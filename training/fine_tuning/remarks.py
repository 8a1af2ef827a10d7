"""What a training says of the weights that it begins with, and of those that it trains."""

from collections.abc import Iterator

from foundation.counted import counted
from models.transfer import Copied
from training.players import Player


def fine_tuning_remarks(tuned: str, copied: Copied | None, player: Player) -> Iterator[str]:
    """A line for what was copied, and with a part tuned for how much that is.

    tuned: train.tuned. copied: of train.init_from; None: the weights are random.
    """
    if copied is not None:
        yield copied.told()
    if tuned == "all":
        return
    trained = sum(p.numel() for p in player.own_parameters)
    own = sum(p.numel() for n, p in player.network.named_parameters() if ".adapters." not in n)
    which = f"beside the network's {own:,}" if tuned == "adapter" else f"of {own:,}"
    yield (
        f"train.tuned: {tuned} trains {counted(trained, 'parameter')} {which} "
        f"({trained / own:.2%}); the others stay as they are"
    )
    names = {n for n, p in player.network.named_parameters() if p.requires_grad}
    fixed = [] if copied is None else [n for n in copied.fresh if n not in names]
    if fixed:
        yield (
            f"train.tuned: {tuned} leaves {counted(len(fixed), 'new tensor')} at random values, "
            f"such as {fixed[0]}: train.tuned: all would train them"
        )
