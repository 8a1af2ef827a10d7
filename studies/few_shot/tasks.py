"""The tasks of the study: which pictures are shown, and which are judged."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dataset.store import ImageDataset
from foundation.json_files import read_object
from models.weights import file_hash
from studies.emoji.words import pictures
from training.few_shot.shots import choose

LIGHT, DARK = ("light", "medium-light"), ("medium-dark", "dark")
FACING = ": facing right"
PEOPLE = ("man", "woman")
JUDGED_SEED = 0
"""Chooses the images that are judged, in every draw and for every number of shots."""


@dataclass(frozen=True)
class Shown:
    """Pictures uint8 [N, H, W, C] and their classes int64 [N]."""

    shots: np.ndarray
    shot_classes: np.ndarray
    test: np.ndarray
    test_classes: np.ndarray


class Task(Protocol):
    """A task of the study. The same images are judged in every draw and for every `shots`."""

    @property
    def name(self) -> str:
        """In rows and tables."""
        ...

    @property
    def denoiser(self) -> Path:
        """Weights."""
        ...

    @property
    def seed(self) -> int:
        """That the denoiser was trained with."""
        ...

    def facts(self) -> dict[str, Any]:
        """All that its pictures depend on but shots and draw, as JSON has it."""
        ...

    def draw(self, shots: int, number: int) -> Shown:
        """Pictures with so many shots of each class. Raises ValueError where there are fewer."""
        ...


@dataclass(frozen=True)
class ClassesTask:
    """Classes of a data set, shots from its training images, judged on held-out images."""

    denoiser: Path
    seed: int
    images: int
    dataset: Path
    classes: tuple[str, ...]
    name: str = "classes"

    def facts(self) -> dict[str, Any]:
        """The data set's hash, the classes, and how many images are judged and by which seed."""
        return {
            "dataset": ImageDataset(self.dataset).content_hash,
            "classes": list(self.classes),
            "images": self.images,
            "judged_seed": JUDGED_SEED,
        }

    def draw(self, shots: int, number: int) -> Shown:
        """Shots are training images; what is judged is held out, and the same in every draw."""
        dataset = ImageDataset(self.dataset)
        judged = choose(dataset, self.classes, 1, self.images, JUDGED_SEED)
        shown = choose(dataset, self.classes, shots, 1, number)
        taken = (dataset.stored(rows)[0] for rows in (shown.shots, judged.test))
        return Shown(next(taken), shown.shot_classes, next(taken), judged.test_classes)


@dataclass(frozen=True)
class Person:
    """An emoji of a man or a woman in a role."""

    path: Path
    person: str
    role: str
    tone: str


@dataclass(frozen=True)
class NuanceTask:
    """Man or woman: in the shots men are light and women dark, in the test the other way round."""

    denoiser: Path
    seed: int
    images: int
    folder: Path
    name: str = "nuance"

    def facts(self) -> dict[str, Any]:
        """The hash of the emoji's list, and how many are judged and by which seed."""
        emoji = file_hash(self.folder / "words.json")
        return {"emoji": emoji, "images": self.images, "judged_seed": JUDGED_SEED}

    def draw(self, shots: int, number: int) -> Shown:
        """Shots are of other roles than what is judged, which is the same in every draw."""
        every = people(read_object(self.folder / "words.json"), self.folder)
        judged = judged_roles(every)
        test = [p for p in every if p.role in judged and reversed_tone(p)]
        order = np.random.default_rng(JUDGED_SEED).permutation(len(test))
        test = [test[place] for place in order[: self.images]]
        generator = np.random.default_rng([number, shots])
        taken = []
        for person, tones in zip(PEOPLE, (LIGHT, DARK), strict=True):
            own = [p for p in every if p.person == person and p.tone in tones]
            own = [p for p in own if p.role not in judged]
            if len(own) < shots:
                raise ValueError(f"there are {len(own)} emoji to show of a {person}, not {shots}")
            taken += [own[place] for place in generator.permutation(len(own))[:shots]]
        return Shown(
            pictures([p.path for p in taken]),
            np.repeat(np.arange(2), shots),
            pictures([p.path for p in test]),
            np.array([PEOPLE.index(p.person) for p in test]),
        )


def reversed_tone(one: Person) -> bool:
    """Whether its tone is that of the other class's shots."""
    return one.tone in (DARK if one.person == "man" else LIGHT)


def people(words: dict[str, Any], folder: Path) -> list[Person]:
    """The emoji of words.json that show a man or a woman in a role that both have, by name."""
    found = []
    for side, place in (("train", "tones"), ("held_out", "held_out")):
        for one in words[side]:
            role = role_of(one["base"])
            if role is not None and one["tone"] in (*LIGHT, *DARK):
                person = "man" if one["base"].startswith("man") else "woman"
                path = folder / place / one["tone"] / one["file"]
                found.append(Person(path, person, role, one["tone"]))
    both = {p.role for p in found if p.person == "man"} & {
        p.role for p in found if p.person == "woman"
    }
    return sorted((p for p in found if p.role in both), key=lambda p: (p.role, p.person, p.path))


def role_of(base: str) -> str | None:
    """The role of a man or a woman, as "health worker" of "man health worker"; None: it is none.

    Somebody who faces right has the role of who faces left.
    """
    match = re.fullmatch(r"(?:man|woman)\W+(.+)", base.removesuffix(FACING))
    return match[1] if match else None


def judged_roles(every: list[Person]) -> set[str]:
    """Half of the roles, by a hash of their names."""
    roles = sorted({p.role for p in every}, key=lambda role: sha256(role.encode()).hexdigest())
    return set(roles[: len(roles) // 2])
