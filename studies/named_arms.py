"""The arms that a study's command asks for."""

import argparse
from collections.abc import Collection


def named_arms(parser: argparse.ArgumentParser, words: str, known: Collection[str]) -> list[str]:
    """The names in "A,B" of --arms; the parser's error where one is no arm."""
    names = words.split(",")
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"--arms {', '.join(unknown)}: there are {', '.join(known)}")
    return names
