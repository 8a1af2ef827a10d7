"""Which stage trains a run under .runs/, and the commands that continue it or train it anew."""

from dataclasses import dataclass
from pathlib import Path

RUNS = ("train-*", "distil-*", "autoencoder-*")
"""Patterns of the names of runs' folders under .runs/."""


@dataclass(frozen=True)
class Maker:
    """The stage that trains a run."""

    stage: str
    anew: str
    """The command that trains the run anew."""

    @property
    def again(self) -> str:
        """The command that runs the stage again."""
        return f"dvc repro -f {self.stage}"

    def adopting(self, fingerprint: str) -> str:
        """The command that continues an unfinished run of other code."""
        return f"{self.stage.upper()}_ADOPT={fingerprint} dvc repro"


def maker(run: str) -> Maker:
    """The maker of a run by its folder's name.

    That is train-FINGERPRINT, autoencoder-FINGERPRINT or distil-NAME-FINGERPRINT.
    """
    stage, _, rest = run.partition("-")
    if stage == "distil":
        return Maker(stage, f"DISTIL_FRESH={rest.rpartition('-')[0]} dvc repro -f distil")
    if stage == "autoencoder":
        return Maker(stage, "AUTOENCODER_FRESH=1 dvc repro -f autoencoder")
    return Maker("train", "TRAIN_FRESH=1 dvc repro -f train")


def runs(root: Path) -> list[Path]:
    """Folders of all runs of the project in `root`, sorted by name."""
    return sorted(path for pattern in RUNS for path in (root / ".runs").glob(pattern))
