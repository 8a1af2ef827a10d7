"""Random draws by image slot: the same whatever the batch, the rank or the process.

Slot s is the s-th image that training draws, counted from its start. Everything random about it is
a function of (seed, stream, s), so results do not depend on how a global batch is split. Each slot
has its own counter-based generator (Philox 4x64, Salmon et al. 2011), keyed by 128 bits of BLAKE2b.
torch's CPU generator uses only the lower 32 bits of its seed, so two slots would soon share one.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Slots = Sequence[int] | np.ndarray | range


def slot_generator(
    seed: int, stream: str, slot: int, device: "torch.device | str" = "cpu"
) -> "torch.Generator":
    """A torch generator for one slot alone (on the CPU torch uses 32 of its 64 bits; see above)."""
    import torch

    key = int.from_bytes(_key(seed, stream, int(slot))[:8])
    return torch.Generator(device).manual_seed(key)


def slot_normal(seed: int, stream: str, slots: Slots, shape: Sequence[int]) -> "torch.Tensor":
    """Unit normal noise, float32 [B, *shape] on the CPU; row b depends on slots[b] alone."""
    import torch

    noise = np.empty((len(slots), *shape), dtype=np.float32)
    draw = _SlotDraw(seed, stream)
    for row, slot in zip(noise, slots, strict=True):
        draw.at(slot).standard_normal(out=row, dtype=np.float32)
    return torch.from_numpy(noise)


def slot_uniform(seed: int, stream: str, slots: Slots) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 [B]; entry b depends on slots[b] alone."""
    draw = _SlotDraw(seed, stream)
    return np.array([draw.at(slot).random() for slot in slots], dtype=np.float64)


def slot_indices(seed: int, num_items: int, slots: Slots) -> np.ndarray:
    """Which of `num_items` each slot shows, int64 [B]: every epoch has its own permutation.

    Slot s lies in epoch s // num_items and takes entry s % num_items of its permutation.
    """
    assert num_items > 0, num_items
    numbers = _as_slots(slots)
    indices = np.empty(len(numbers), dtype=np.int64)
    epochs = numbers // num_items
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _permutation(seed, num_items, int(epoch))[numbers[here] % num_items]
    return indices


class GroupPools:
    """The images of each group, sorted once.

    groups: int64 [N], the group labels of the train set (see ImageDataset), -1 = of no known group.
    without_copies: the positions of images that may be drawn, ascending; None: all.
    """

    def __init__(self, groups: np.ndarray, without_copies: np.ndarray | None = None) -> None:
        assert groups.ndim == 1 and len(groups) > 0, groups.shape
        rows = np.arange(len(groups)) if without_copies is None else without_copies
        self.order = rows[np.argsort(groups[rows], kind="stable")]
        self.values, self.starts, self.counts = np.unique(
            groups[self.order], return_index=True, return_counts=True
        )

    def spans(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start and length in `order` of the pool of each wanted group; -1 is all images."""
        rank = np.searchsorted(self.values, wanted).clip(max=len(self.values) - 1)
        absent = (self.values[rank] != wanted) & (wanted != -1)
        if absent.any():
            raise ValueError(
                f"no training image has group label {wanted[absent][0]}: the train set has "
                f"{', '.join(map(str, self.values))}"
            )
        starts = np.where(wanted == -1, 0, self.starts[rank])
        return starts, np.where(wanted == -1, len(self.order), self.counts[rank])


def unpaired_batch(seed: int, pools: GroupPools, groups: np.ndarray, play: int) -> np.ndarray:
    """For each fake an independent draw among the training images of its group, none drawn twice.

    Duplicates, which generated images have none of, would tell a small real set from them.

    Args:
        pools: of the train set.
        groups: int64 [B], the group label of each fake of the whole batch; -1 = any image.
        play: number of the draw; the result depends on (seed, play) and the groups alone.

    Returns:
        int64 [B], indices into the train set. Only where a batch holds more fakes of a group than
        the group has images are these drawn again.

    Raises ValueError for a group without a training image.
    """
    wanted = np.asarray(groups, dtype=np.int64)
    starts, counts = pools.spans(wanted)
    drawn = np.empty(len(wanted), dtype=np.int64)
    for group in np.unique(wanted):
        here = np.flatnonzero(wanted == group)
        count = counts[here[0]]
        generator = _SlotDraw(seed, f"unpaired {group}").at(play)
        chosen = generator.choice(count, size=min(len(here), count), replace=False)
        drawn[here] = chosen[np.arange(len(here)) % count]
    return pools.order[starts + drawn]


class _SlotDraw:
    """One Philox generator, re-keyed for each slot: ten times as fast as making one anew."""

    def __init__(self, seed: int, stream: str) -> None:
        self._seed, self._stream = seed, stream
        self._bits = np.random.Philox(key=0)
        self._fresh = self._bits.state
        self._generator = np.random.Generator(self._bits)

    def at(self, slot: int) -> np.random.Generator:
        """The slot's generator at its beginning; valid until the next call."""
        key = _key(self._seed, self._stream, int(slot))
        self._fresh["state"]["key"] = np.frombuffer(key, dtype="<u8").astype(np.uint64)
        self._bits.state = self._fresh
        return self._generator


def _key(seed: int, stream: str, slot: int) -> bytes:
    assert slot >= 0, slot
    return hashlib.blake2b(f"{seed}/{stream}/{slot}".encode(), digest_size=16).digest()


def _as_slots(slots: Slots) -> np.ndarray:
    numbers = np.asarray(slots, dtype=np.int64)
    assert numbers.ndim == 1 and (numbers >= 0).all(), numbers
    return numbers


@lru_cache(maxsize=4)  # two epochs for each of two players: a batch may straddle an epoch's end
def _permutation(seed: int, num_items: int, epoch: int) -> np.ndarray:
    order = _SlotDraw(seed, f"epoch of {num_items}").at(epoch).permutation(num_items)
    order.setflags(write=False)
    return order
