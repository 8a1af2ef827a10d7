import hashlib

import numpy as np
import pytest
import torch

from dataset.slots import (
    GroupPools,
    slot_generator,
    slot_indices,
    slot_normal,
    slot_uniform,
    unpaired_batch,
)

SLOTS = np.arange(100, 164)
LABELS = np.random.default_rng(0).choice([0, 1, 2, 5], size=300, p=[0.1, 0.2, 0.3, 0.4])
FAKE_LABELS = np.random.default_rng(1).choice([-1, 0, 1, 2, 5], size=64)

DRAWS = {
    "normal": lambda slots: slot_normal(7, "noise", slots, (2, 3)).numpy(),
    "uniform": lambda slots: slot_uniform(7, "sigma", slots),
    "indices": lambda slots: slot_indices(7, 25, slots),
    "generator": lambda slots: np.stack(
        [torch.rand(3, generator=slot_generator(7, "g", s)).numpy() for s in slots]
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_slot_does_not_care_how_the_batch_is_split_or_ordered(name):
    draw = DRAWS[name]
    whole = draw(SLOTS)
    assert (np.concatenate([draw(SLOTS[:16]), draw(SLOTS[16:17]), draw(SLOTS[17:])]) == whole).all()
    by_rank = np.empty_like(whole)
    for rank in range(4):
        by_rank[rank::4] = draw(SLOTS[rank::4])
    assert (by_rank == whole).all()
    assert (draw(SLOTS[::-1]) == whole[::-1]).all()
    assert (draw(range(100, 164)) == whole).all() and (draw(SLOTS.tolist()) == whole).all()


def test_seed_stream_and_slot_all_matter():
    draws = [
        slot_normal(seed, stream, [slot], (8,)).numpy().tobytes()
        for seed in (0, 1, 10)
        for stream in ("a", "b", "0/a")
        for slot in (0, 1, 2**32, 2**33)  # a 32-bit seed would confuse these
    ]
    assert len(set(draws)) == len(draws)


def test_noise_is_unit_normal_and_uncorrelated_between_slots():
    noise = slot_normal(0, "noise", range(2000), (16,))
    assert noise.dtype == torch.float32 and noise.shape == (2000, 16)
    assert abs(noise.mean()) < 4 / 32000**0.5
    assert abs(noise.var() - 1) < 4 * (2 / 32000) ** 0.5
    assert abs((noise**4).mean() - 3) < 4 * (96 / 32000) ** 0.5
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 / 32000**0.5


def test_uniform_is_uniform():
    uniform = slot_uniform(0, "u", range(4000))
    assert uniform.dtype == np.float64 and uniform.min() >= 0 and uniform.max() < 1
    counts = np.histogram(uniform, bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 28  # chi-square with 9 degrees, p = 0.001


def test_the_numbers_themselves_are_pinned():
    """Checkpoints and published results rest on them: a change must be seen and meant."""
    assert slot_indices(0, 10, range(10)).tolist() == [7, 6, 2, 5, 4, 1, 8, 9, 0, 3]
    np.testing.assert_allclose(
        slot_uniform(0, "u", [0, 1]), [0.7161909019162334, 0.6538918709033], rtol=1e-12
    )
    np.testing.assert_allclose(slot_normal(0, "n", [0], (2,))[0], [-0.0520338, 1.874426], rtol=1e-5)


def test_the_key_is_the_documented_hash():
    key = np.frombuffer(hashlib.blake2b(b"3/x/4", digest_size=16).digest(), dtype="<u8")
    expected = np.random.Generator(np.random.Philox(key=key)).random()
    assert slot_uniform(3, "x", [4])[0] == expected


@pytest.mark.parametrize("num_items", [1, 7, 100])
def test_every_epoch_shows_every_image_once_in_another_order(num_items):
    indices = slot_indices(3, num_items, range(4 * num_items)).reshape(4, num_items)
    assert (np.sort(indices, axis=1) == np.arange(num_items)).all()
    if num_items == 100:
        assert len({tuple(epoch) for epoch in indices.tolist()}) == 4
        assert (indices[0] != slot_indices(4, num_items, range(num_items))).any()


def test_far_slots_need_no_history():
    far = 10**12
    assert slot_indices(0, 1797, [far])[0] == slot_indices(0, 1797, range(far - 5, far + 5))[5]


def test_unpaired_draws_are_independent_of_what_the_slots_show():
    pools, same, by_chance = GroupPools(LABELS), 0, 0.0
    for play in range(0, 6400, 64):
        shown = slot_indices(0, 300, range(play, play + 64))
        same += (unpaired_batch(0, pools, LABELS[shown], play) == shown).sum()
        by_chance += (1 / np.bincount(LABELS)[LABELS[shown]]).sum()
    assert abs(same - by_chance) < 5 * by_chance**0.5


def test_a_batch_of_unpaired_draws_holds_no_image_twice():
    pools, seen = GroupPools(LABELS), np.zeros(300, dtype=int)
    for play in range(200):
        wanted = np.random.default_rng(play).choice([0, 1, 2, 5], size=64)
        drawn = unpaired_batch(0, pools, wanted, play)
        assert (LABELS[drawn] == wanted).all()
        assert len(np.unique(drawn)) == 64
        assert (drawn == unpaired_batch(0, pools, wanted, play)).all()
        np.add.at(seen, drawn, 1)
    for label in (0, 1, 2, 5):  # uniform within a label
        counts = seen[label == LABELS]
        assert counts.min() > 0.4 * counts.mean() and counts.max() < 1.8 * counts.mean()
    anywhere = unpaired_batch(0, pools, np.full(300, -1), 7)
    assert (np.sort(anywhere) == np.arange(300)).all()
    few = unpaired_batch(0, pools, np.full(100, 0), 7)  # fewer images than are wanted
    assert set(np.bincount(few, minlength=300)[LABELS == 0]) <= {
        100 // (LABELS == 0).sum() + i for i in (0, 1)
    }


def test_images_that_are_left_out_are_not_drawn():
    once = np.arange(0, 300, 2)
    drawn = unpaired_batch(0, GroupPools(LABELS, once), LABELS[:40], 3)
    assert set(drawn) <= set(once) and (LABELS[drawn] == LABELS[:40]).all()


@pytest.mark.parametrize("label", [3, 4, 6, 99])
def test_a_group_without_images_is_named(label):
    with pytest.raises(
        ValueError, match=f"no training image has group label {label}: .*0, 1, 2, 5"
    ):
        unpaired_batch(0, GroupPools(LABELS), np.array([0, label]), 0)
