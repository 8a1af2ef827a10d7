"""What the studies on emoji have to reach, and how many seeds reach it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studies.tables import markdown, spread


@dataclass(frozen=True)
class Aim:
    """A number of a study and its bound."""

    title: str
    bound: float
    digits: int
    lower: bool = False
    """Whether it has to be at most the bound; else at least."""

    def __str__(self) -> str:
        """The bound as ">= 0.85"."""
        return f"{'<=' if self.lower else '>='} {self.bound:g}"

    def reached(self, value: float) -> bool:
        """Whether one seed's value is as good as the bound; nan is not."""
        return value <= self.bound if self.lower else value >= self.bound


TONE = Aim("tone", 0.85, 3)
BASE_RATIO = Aim("emoji / emoji of real pictures", 0.6, 3)
KID_RATIO = Aim("KID / KID of pixels", 0.7, 3, lower=True)
PSNR = Aim("PSNR in dB", 26, 1)


def aims_table(reached: Iterable[tuple[str, Aim, Sequence[float]]]) -> str:
    """Markdown of (arm, aim, a value for each seed); what has no value is left out."""
    lines = [
        [
            arm,
            aim.title,
            spread(values, aim.digits),
            str(aim),
            f"{sum(map(aim.reached, values))} of {len(values)}",
        ]
        for arm, aim, values in reached
        if values
    ]
    return markdown(["arm", "number", "value", "aim", "seeds that reach it"], lines)
