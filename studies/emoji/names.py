"""What each emoji is called, its skin tone, and which pairs of emoji and tone are held out."""

from dataclasses import dataclass
from hashlib import sha256

TONES = {
    "1F3FB": "light",
    "1F3FC": "medium-light",
    "1F3FD": "medium",
    "1F3FE": "medium-dark",
    "1F3FF": "dark",
}
"""{code point of a skin tone: its name}; Unicode Technical Standard 51, section 2.4."""
NO_TONE = "none"
SHARE = 0.2
"""Of the pairs of an emoji and a skin tone that are held out."""


@dataclass(frozen=True)
class Emoji:
    """One picture."""

    file: str
    text: str
    """Its name in English, as "waving hand: medium skin tone"."""
    category: str
    base: str
    """Name without the tone."""
    tone: str
    """A value of TONES, NO_TONE, or "two" where two people have one each."""
    has_tones: bool
    """Whether there is such a picture for each tone."""

    def words(self) -> dict[str, str]:
        """What words.json keeps."""
        return {"file": self.file, "text": self.text, "base": self.base, "tone": self.tone}


def emoji_of(pictures: list[dict], names: list[dict]) -> list[Emoji]:
    """All emoji of `pictures` (emoji.json) with their names (data.json of emojibase).

    Raises KeyError for a picture without a name.
    """
    every = [one for name in names for one in (name, *name.get("skins", []))]
    labels = {_plain(one["hexcode"]): one["label"] for one in every}
    found = []
    for entry in pictures:
        base = labels[_plain(entry["unified"])]
        category = entry["category"].replace(" & ", "_").replace(" ", "_").lower()
        variations = entry.get("skin_variations", {})
        for tones, one in [("", entry), *variations.items()]:
            text, kinds = labels[_plain(one["unified"])], set(filter(None, tones.split("-")))
            tone = "two" if len(kinds) > 1 else TONES[min(kinds)] if kinds else NO_TONE
            found.append(Emoji(one["image"], text, category, base, tone, len(variations) == 5))
    return found


def hold_out(emoji: list[Emoji], share: float = SHARE) -> tuple[list[Emoji], list[Emoji]]:
    """(trained on, held out) of the emoji with five tones, by a hash of base and tone.

    At most two tones of an emoji are held out, so that training sees it in three.
    """
    train, held_out = [], []
    with_tones = [one for one in emoji if one.has_tones]
    taken: dict[str, int] = {}
    for one in sorted(with_tones, key=_draw):
        wanted = one.tone != NO_TONE and len(held_out) < share * _pairs(with_tones)
        if wanted and taken.get(one.base, 0) < 2:
            taken[one.base] = taken.get(one.base, 0) + 1
            held_out.append(one)
        else:
            train.append(one)
    return sorted(train, key=_file), sorted(held_out, key=_file)


def _pairs(emoji: list[Emoji]) -> int:
    return sum(one.tone != NO_TONE for one in emoji)


def _draw(one: Emoji) -> str:
    return sha256(f"{one.base}|{one.tone}".encode()).hexdigest()


def _file(one: Emoji) -> str:
    return one.file


def _plain(code: str) -> str:
    """A sequence of code points without the selector of coloured pictures."""
    return code.replace("-FE0F", "")
