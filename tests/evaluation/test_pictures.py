import numpy as np
import pytest

from evaluation.pictures import (
    nearest_feature,
    nearest_grid,
    nearest_image,
    sample_grid,
)
from evaluation.sheets.tiles import GAP, LARGEST_TILE, MARGIN


def images(n, side=8, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def test_every_tile_is_its_image():
    shown = images(7, channels=3)
    sheet = np.asarray(sample_grid(shown, columns=3, scale=2))
    assert sheet.shape == (2 * MARGIN + 3 * 16 + 2 * GAP, 2 * MARGIN + 3 * 16 + 2 * GAP, 3)
    for i, image in enumerate(shown):
        top, left = (MARGIN + step * (16 + GAP) for step in divmod(i, 3))
        np.testing.assert_array_equal(sheet[top : top + 16 : 2, left : left + 16 : 2], image)
    assert (sheet[-MARGIN - 16 :, -MARGIN - 16 :] == 255).all()  # the two empty tiles


def test_grey_tiles_and_default_scale():
    sheet = np.asarray(sample_grid(images(4)))
    assert sheet.shape == (2 * MARGIN + 2 * 56 + GAP,) * 2 + (3,)
    assert (sheet[..., 0] == sheet[..., 1]).all()
    large = sample_grid(images(1, side=600))
    assert max(large.size) <= LARGEST_TILE + 2 * MARGIN


def test_rows_by_class():
    labels = np.array([1, 0, 1, 0, 1, 0, 1, 0])
    shown = images(8)
    shown[labels == 1] = 200
    shown[labels == 0] = 90
    sheet = np.asarray(sample_grid(shown, scale=4, labels=labels, label_names=["cat", "dog"]))
    tiles = sheet[:, -MARGIN - 4 * 32 - 3 * GAP :]  # right of the names
    assert (tiles[MARGIN + 4, 4:28] == 90).all()
    assert (tiles[MARGIN + 32 + GAP + 4, 4:28] == 200).all()
    assert (sheet[:, : -MARGIN - 4 * 32 - 3 * GAP] < 128).any()  # names are written
    plain = sample_grid(shown, scale=4)
    many = sample_grid(shown, scale=4, labels=np.arange(8))
    unlabelled = sample_grid(shown, scale=4, labels=np.full(8, -1))
    assert many.size == unlabelled.size == plain.size


def test_long_rows_of_few_classes_go_on_below():
    labels = np.arange(66) % 3  # 22 images of each class: two lines of 11
    shown = np.stack([np.full((8, 8, 1), 80 + i, np.uint8) for i in range(66)])
    names = ["cat", "dog", "eel"]
    sheet = np.asarray(sample_grid(shown, scale=4, labels=labels, label_names=names))
    step = 32 + GAP
    assert sheet.shape[0] == 2 * MARGIN + 6 * step - GAP
    tiles = sheet[:, -MARGIN - 11 * step + GAP :, 0]
    for line in range(6):
        for column in range(11):
            found = tiles[MARGIN + line * step + 9, column * step + 9]
            assert found == 80 + 3 * (11 * (line % 2) + column) + line // 2
    left = sheet[:, : -MARGIN - 11 * step + GAP]
    named = [(left[MARGIN + i * step :][:32] < 128).any() for i in range(6)]
    assert named == [True, False] * 3  # once for each class
    asked = sample_grid(shown, columns=22, scale=4, labels=labels, label_names=names)
    assert asked.height == 2 * MARGIN + 3 * step - GAP


def test_nearest_finds_planted_copies_and_the_first_of_equals():
    train = images(500, seed=1)
    indices = np.arange(0, 500, 2)
    samples = train[[40, 480, 6]].copy()
    samples[0, 0, 0, 0] ^= 1
    train[100] = train[40]
    for chunk in (1, 7, 4096):
        assert nearest_image(samples, train, indices, chunk).tolist() == [20, 240, 3]
    features = np.random.default_rng(2).normal(size=(50, 9)).astype(np.float32)
    assert nearest_feature(features[[3, 49]] + 1e-4, features, chunk=8).tolist() == [3, 49]


def test_nearest_equals_brute_force():
    train, samples = images(90, seed=3), images(12, seed=4)
    squared = ((samples[:, None].astype(int) - train[None]) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(
        nearest_image(samples, train, np.arange(90), 32), squared.argmin(axis=1)
    )


def test_nearest_grid_shows_sample_and_neighbours():
    train = images(30)
    samples = train[[5, 9]]
    features = np.eye(30, dtype=np.float32)
    sheet = np.asarray(
        nearest_grid(
            samples,
            train,
            np.arange(30),
            sample_features=features[[7, 8]],
            train_features=features,
            columns=1,
            scale=2,
        )
    )
    head = sheet.shape[0] - 2 * MARGIN - 2 * 16 - GAP
    for row, expected in enumerate(([5, 5, 7], [9, 9, 8])):
        top = MARGIN + head + row * (16 + GAP)
        for part, i in enumerate(expected):
            left = MARGIN + part * (16 + GAP)
            tile = sheet[top : top + 16 : 2, left : left + 16 : 2, :1]
            np.testing.assert_array_equal(tile, train[i])
    without = nearest_grid(samples, train, np.arange(30), columns=1, scale=2)
    assert without.width < sheet.shape[1]


def test_errors():
    with pytest.raises(ValueError, match="uint8"):
        sample_grid(np.zeros((2, 8, 8, 1)))
    with pytest.raises(ValueError, match="at least one"):
        sample_grid(images(0))
