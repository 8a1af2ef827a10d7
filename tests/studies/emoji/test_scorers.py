import numpy as np

from studies.emoji.scorers import (
    LEVELS,
    BaseScorer,
    ToneScorer,
    colours,
    share_right,
    shares_swapped,
)

RNG = np.random.default_rng(0)


def blobs(colour, count):
    """Pictures with a square of about this colour somewhere on white."""
    images = np.full((count, 16, 16, 3), 255, np.uint8)
    for image in images:
        y, x = RNG.integers(0, 10, 2)
        image[y : y + 6, x : x + 6] = np.clip(np.array(colour) + RNG.integers(-8, 9, 3), 0, 255)
    return images


def test_the_tone_is_read_from_colours_wherever_they_are():
    light, dark = (240, 208, 176), (80, 48, 48)  # amid steps of the histogram
    scorer = ToneScorer(
        np.concatenate([blobs(light, 20), blobs(dark, 20)]), ["l"] * 20 + ["d"] * 20
    )
    found = scorer(np.concatenate([blobs(light, 5), blobs(dark, 5)]))
    assert found == ["l"] * 5 + ["d"] * 5


def test_shares_of_colours_leave_the_white_background_out():
    image = np.full((1, 2, 2, 3), 255, np.uint8)
    image[0, 0, 0] = (0, 0, 40)
    image[0, 0, 1] = (0, 40, 0)
    shares = colours(image)[0] ** 2
    assert shares.shape == (LEVELS**3,)
    assert np.isclose(shares[1], 0.5) and np.isclose(shares[LEVELS], 0.5) and shares[-1] == 0
    assert not colours(image[:, 1:]).any()  # a white picture


def test_the_emoji_is_that_of_the_nearest_picture():
    features = RNG.normal(size=(6, 4)).astype(np.float32)
    names = ["a", "a", "b", "b", "c", "c"]
    assert BaseScorer(features, names)(features + 0.01) == names
    assert share_right(["a", "b", "c"], ["a", "b", "a"]) == 2 / 3


def test_captions_that_agree_say_nothing_about_a_swap():
    asked, owners = ["a", "a", "b", "b"], ["a", "b", "a", "a"]
    assert shares_swapped(["a", "a", "a", "c"], asked, owners) == (1 / 3, 1 / 3)
    assert np.isnan(shares_swapped(["a"], ["a"], ["a"])).all()
