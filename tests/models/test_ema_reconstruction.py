"""Averages of lengths that are nearly the same are files of their own."""

import torch

from models.ema_reconstruction import list_snapshots, reconstruct, snapshot_name
from models.weights import save_weights


def test_near_lengths_keep_apart_and_are_read_back_exactly(tmp_path):
    tracked = (0.1, 0.1111111)
    for nimg in (10, 20):
        for number, length in enumerate(tracked):
            facts = {"nimg": nimg, "sigma_rel": length, "constants": []}
            weights = {"w": torch.full((2,), float(number))}
            save_weights(tmp_path / snapshot_name(nimg, length), weights, facts)
    found = list_snapshots(tmp_path)
    assert [(nimg, length) for nimg, length, _ in found] == [
        (nimg, length) for nimg in (10, 20) for length in tracked
    ]
    averages, _, errors = reconstruct(tmp_path, tracked)
    assert set(errors) == set(tracked) and max(errors.values()) < 1e-6
    for number, length in enumerate(tracked):
        torch.testing.assert_close(averages[length]["w"], torch.full((2,), float(number)))
