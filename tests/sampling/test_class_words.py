"""Classes asked for on the command line."""

import pytest

from pipelines.sampling_command.images import chosen_labels, numbers
from sampling.class_words import asked_classes

PETS = ["cat", "dog", "guinea pig", "fish, large", "cafe\u0301"]
SHIFTED = [str(number) for number in range(1, 13)]  # class 0 is named 1


def asked(text, names, classes=None):
    count = len(names) if classes is None else classes
    return asked_classes(text, names, count, lambda word: numbers(word, "--labels"))


@pytest.mark.parametrize(
    ("text", "names", "classes"),
    [
        ("dog", PETS, [1]),
        ("dog, cat,guinea pig", PETS, [1, 0, 2]),
        ("0-2,fish, large,3", PETS, [0, 1, 2, 3, 3]),
        ("caf\u00e9,-1,4", PETS, [4, -1, 4]),  # typed as one character, stored as two
        ("3,0-9", list("0123456789"), [3, *range(10)]),  # named by their numbers
        ("12", SHIFTED, [11]),  # no number of a class
        ("0", SHIFTED, [0]),  # no name of one
        ("name:3,number:3,number:2-4", SHIFTED, [2, 3, 2, 3, 4]),
        ("0-5", ["0-5", "6-9"], [0]),  # no numbers of classes
        ("name:x", ["name:x", "x"], [0]),
        ("1,0", ["b\\xe9", "c"], [1, 0]),
        ("b\\xe9", ["b\\xe9", "c"], [0]),
    ],
)
def test_numbers_and_names(text, names, classes):
    assert asked(text, names) == classes


@pytest.mark.parametrize(
    ("text", "names", "told"),
    [
        ("dgo", PETS, "unknown class 'dgo': did you mean 'dog'"),
        ("dog,name:1", PETS, r"unknown class '1' \(known: cat, dog"),
        ("5", PETS, "--labels 5: these weights know classes 0 to 4"),
        (
            "3",
            SHIFTED,
            "3 is the name of class 2, and class 3 is named '4': say name:3 or number:3",
        ),
        ("2-4", SHIFTED, "2 is the name of class 1, .* or number:2-4"),
        ("-1", ["-1", "0"], "-1 is the name of class 0, and -1 is no class: say name:-1 or number"),
        ("number:12", SHIFTED, "classes 0 to 11"),
        ("x", [], "give numbers and ranges"),
        ("dog,,cat", PETS, "unknown class ''"),
        ("x", [f"c{number}" for number in range(30)], "the JSON beside the weights lists them"),
    ],
)
def test_a_word_that_is_unknown_or_means_two_things(text, names, told):
    with pytest.raises(ValueError, match=told) as error:
        asked(text, names, len(names) or 3)
    assert "\n" not in str(error.value)


def test_labels_are_repeated_in_turn():
    assert chosen_labels("dog,0", 5, 5, PETS).tolist() == [1, 0, 1, 0, 1]
    assert chosen_labels(None, 4, 3, PETS[:3]).tolist() == [0, 1, 2, 0]
