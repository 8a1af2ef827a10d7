"""All that the future of a training run depends on, saved and restored in one place."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from models.denoiser import Denoiser
from models.power_ema import PowerEMA
from training.structure.game import StructureGame


@dataclass
class TrainState:
    """Networks, optimiser, averages, game and counters. `tensors` and `plain` list everything."""

    denoiser: Denoiser
    optimizer: torch.optim.Adam
    ema: PowerEMA
    game: StructureGame | None = None  # where one is played
    nimg: int = 0
    skipped_steps: int = 0
    bad_in_a_row: int = 0
    plays: int = 0
    window: dict[str, list[float]] = field(default_factory=dict)  # metric -> [sum, count]
    last_metrics: dict[str, float] = field(default_factory=dict)

    COUNTERS: ClassVar = (
        "nimg",
        "skipped_steps",
        "bad_in_a_row",
        "plays",
        "window",
        "last_metrics",
    )

    def tensors(self) -> dict[str, Tensor]:
        """Flat name -> tensor: denoiser, Adam's moments, both averages, the game's two players."""
        out = {f"denoiser.{n}": t for n, t in self.denoiser.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                out[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
        for sigma_rel in self.ema.averages:
            for name, value in self.ema.state(sigma_rel).items():
                out[f"ema.{sigma_rel}.{name}"] = value
        if self.game is not None:
            out |= {f"game.{n}": t for n, t in self.game.state_dict()[0].items()}
        return out

    def plain(self) -> dict:
        """The JSON-able rest."""
        out = {name: getattr(self, name) for name in self.COUNTERS}
        if self.game is not None:
            out["game"] = self.game.state_dict()[1]
        return out

    def restore(self, tensors: dict[str, Tensor], plain: dict) -> None:
        """The inverse of `tensors` and `plain`."""
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            head, _, tail = name.partition(".")
            groups.setdefault(head, {})[tail] = tensor
        self.denoiser.load_state_dict(groups["denoiser"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups.get("optimizer", {}).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        param_groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": param_groups})
        for sigma_rel in self.ema.averages:
            head = f"{sigma_rel}."
            self.ema.load_state(
                sigma_rel,
                {n.removeprefix(head): t for n, t in groups["ema"].items() if n.startswith(head)},
            )
        for name in self.COUNTERS:
            setattr(self, name, plain[name])
        if self.game is not None:
            self.game.load_state_dict(groups.get("game", {}), plain["game"])

    def observe(self, metrics: dict[str, float]) -> None:
        """Add one step's values to the means of the current log window."""
        for name, value in metrics.items():
            entry = self.window.setdefault(name, [0.0, 0])
            entry[0] += float(value)
            entry[1] += 1

    def close_window(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: total / count for name, (total, count) in self.window.items()}
        self.window = {}
        return means
