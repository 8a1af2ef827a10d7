"""The whole state of a training run, as it is saved in and restored from checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from training.method import Method
from training.noise.levels import bin_edges
from training.players import Player, under
from training.run_settings import RunSettings


@dataclass
class TrainState:
    """A method with its players, and counters; `saved` is all of it."""

    method: Method
    nimg: int = 0
    skipped_steps: int = 0
    bad_in_a_row: int = 0
    window: dict[str, list[float]] = field(default_factory=dict)  # metric -> [sum, count]
    last_metrics: dict[str, float] = field(default_factory=dict)

    COUNTERS: ClassVar = ("nimg", "skipped_steps", "bad_in_a_row", "window", "last_metrics")

    @property
    def deployed(self) -> Player:
        """The player whose averages the later stages use."""
        return self.method.players[self.method.deployed]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by flat name, "players.NAME...." and "method....", and the JSON-able rest."""
        of_method, method = self.method.state()
        tensors = {f"method.{n}": t for n, t in of_method.items()}
        for name, player in self.method.players.items():
            tensors |= {f"players.{name}.{n}": t for n, t in player.tensors().items()}
        counters = {name: getattr(self, name) for name in self.COUNTERS}
        return tensors, counters | {"players": sorted(self.method.players), "method": method}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Set what `saved` returned. Raises ValueError for other players."""
        if plain["players"] != sorted(self.method.players):
            raise ValueError(
                f"the checkpoint holds the players {', '.join(plain['players'])}, and this method "
                f"trains {', '.join(sorted(self.method.players))}: train anew with --fresh"
            )
        for name, player in self.method.players.items():
            player.restore(under(f"players.{name}.", tensors))
        for name in self.COUNTERS:
            setattr(self, name, plain[name])
        self.method.restore(under("method.", tensors), plain["method"])

    def summary(self, settings: RunSettings) -> dict[str, Any]:
        """The content of train.json of a finished run; it has no dates, speeds or paths."""
        return {
            "total_nimg": self.nimg,
            "batch_size": settings.train.batch_size,
            "num_parameters": sum(p.numel() for p in self.deployed.network.parameters()),
            "skipped_steps": self.skipped_steps,
            **self.method.summary(),
            "final": self.last_metrics,
            "sigma_bin_edges": bin_edges(settings.noise, settings.train.sigma_bins),
            "snapshots": list(settings.snapshot_nimgs),
        }

    def observe(self, metrics: Mapping[str, float]) -> None:
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
