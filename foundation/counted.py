"""A number with its noun, in singular or plural."""


def counted(number: int, noun: str) -> str:
    """Words such as "1 file", "1,024 files"; the noun takes an s, or es after an s."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else ending}"
