"""Classes that a command line or a program asks for, by number or by name."""

import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from foundation.did_you_mean import spelling_hint

_PREFIX = re.compile(r"(name|number):(.+)", re.DOTALL)


def asked_classes(
    text: str, names: Sequence[str], num_classes: int, read_numbers: Callable[[str], list[int]]
) -> list[int]:
    """Class numbers that a text lists: "0-2,dog" -> [0, 1, 2, 5], if class 5 is named dog.

    A name may hold commas. Where a word is one class's number and another one's name, it takes
    `number:` or `name:` in front.

    Args:
        names: of the classes 0, 1, ...; none where the weights hold none.
        num_classes: numbers from -1, unconditional, to num_classes - 1 may be asked for.
        read_numbers: the numbers of a word such as 3 or 0-9; raises ValueError.

    Raises a one-line ValueError for an unknown or ambiguous word.
    """
    known = {_same_spelling(name): number for number, name in enumerate(names)}
    out: list[int] = []
    words = text.split(",")
    longest = 1 + max((name.count(",") for name in names), default=0)
    while words:
        # The longest name that the text goes on with, since names may hold commas.
        for count in range(min(longest, len(words)), 0, -1):
            word = ",".join(words[:count]).strip()
            if count == 1 or _same_spelling(word) in known:
                break
        out += _classes_of(word, known, names, num_classes, read_numbers)
        words = words[count:]
    return out


def class_numbers(labels: object, names: Sequence[str], num_classes: int) -> list[int]:
    """Class numbers of a list of numbers and names: [-1, "dog"] -> [-1, 5], if 5 is named dog.

    Args:
        names: of the classes 0, 1, ...; none where the weights hold none.
        num_classes: numbers from -1, unconditional, to num_classes - 1 may be asked for.

    Raises a one-line ValueError for anything else.
    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ValueError(f"labels {labels!r:.80}: give a list, such as labels=[{labels!r:.80}]")
    known = {_same_spelling(name): number for number, name in enumerate(names)}
    numbers, unknown = [], []
    for label in labels:
        if isinstance(label, str):
            if _same_spelling(label) not in known:
                hint = spelling_hint(label, names, ": the JSON beside the weights lists them")
                raise ValueError(
                    f"labels: unknown class {label!r:.80}{hint}"
                    if names
                    else f"labels: {label!r:.80}: these weights hold no names of classes"
                    + (f": give numbers from 0 to {num_classes - 1}" if num_classes else "")
                )
            numbers.append(known[_same_spelling(label)])
            continue
        try:
            number = -2 if isinstance(label, bool) else operator.index(label)
        except TypeError:
            number = -2
        numbers.append(number)
        if not -1 <= number < num_classes:
            unknown.append(label)
    if unknown or not numbers:
        range_ = f"0 to {num_classes - 1}, and -1" if num_classes else "-1 alone"
        raise ValueError(f"labels {unknown!r:.80}: this denoiser knows {range_}")
    return numbers


def _classes_of(
    word: str,
    known: dict[str, int],
    names: Sequence[str],
    num_classes: int,
    read_numbers: Callable[[str], list[int]],
) -> list[int]:
    named = known.get(_same_spelling(word))
    prefix = _PREFIX.fullmatch(word) if named is None else None
    kind, word = prefix.groups() if prefix else ("", word)
    if kind == "name":
        named = known.get(_same_spelling(word))
    numeric = re.fullmatch(r"-?[0-9]+|[0-9]+\s*-\s*[0-9]+", word) is not None
    if kind == "name" or (kind == "" and not numeric and names):
        if named is None:
            hint = spelling_hint(word, names, ": the JSON beside the weights lists them")
            raise ValueError(f"--labels: unknown class {word!r}{hint}")
        return [named]
    numbers = read_numbers(word)
    bad = [number for number in numbers if not -1 <= number < num_classes]
    if named is not None and (bad or numbers == [named]):
        return [named]
    if bad:
        raise ValueError(f"--labels {bad[0]}: these weights know classes 0 to {num_classes - 1}")
    for end in (numbers[0], numbers[-1]):
        if kind == "" and known.get(str(end), end) != end:
            other = f"class {end} is named {names[end]!r}" if end >= 0 else f"{end} is no class"
            raise ValueError(
                f"--labels {word}: {end} is the name of class {known[str(end)]}, and {other}: say "
                f"name:{end} or number:{word}"
            )
    return numbers


def _same_spelling(name: str) -> str:
    """Accents come as one character or as two, by keyboard and file system."""
    return unicodedata.normalize("NFC", name)
