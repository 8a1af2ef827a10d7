"""Copies are known by their pixels, and with labels by pixels and label."""

import numpy as np

from dataset.distinct import first_of_each, pixel_keys


def test_a_picture_with_two_labels_is_one_picture_of_both():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    images = pictures[[0, 1, 0, 0, 2]]
    keys = pixel_keys(images, np.arange(5))
    assert first_of_each(keys).tolist() == [0, 1, 4]
    assert first_of_each(keys, np.array([3, 3, -1, 3, 3])).tolist() == [0, 1, 2, 4]
    assert (keys == pixel_keys(images[::-1], np.arange(5)[::-1])).all()


def test_many_images_are_read_in_parts():
    images, told = np.arange(600, dtype=np.uint16).view(np.uint8).reshape(600, 2, 1, 1), []
    keys = pixel_keys(images, np.arange(600), lambda *step: told.append(step))
    assert len(first_of_each(keys)) == 600 and told == [(256, 600), (512, 600), (600, 600)]
