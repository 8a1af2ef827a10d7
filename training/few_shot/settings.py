"""How an adapter is fitted to a few images."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Raises ValueError for a value that no adapter can be fitted with."""

    rank: int = 8
    """Of the update of each layer (TiF: 8 to 16), less in smaller layers."""
    steps: int = 100
    batch: int = 16
    """Noisy images a step, of each class."""
    lr: float = 0.01
    """Of Adam; falls to 0 along a cosine."""
    scale: float = 1.0
    """By which the fitted update is multiplied when it is kept (TiF: 0.6)."""
    sigma_range: tuple[float, float] = (0.05, 5.0)
    """Noise levels at which the adapter acts and is fitted; at others the denoiser is as before."""
    flip: bool = False
    """Whether half of the images shown are mirrored."""
    shift: int = 0
    """Most pixels by which they are moved along each axis."""
    prior_weight: float = 0.0
    """Of the change that the adapter makes to images of other classes; 0: none is looked at."""

    def __post_init__(self) -> None:
        low, high = self.sigma_range
        if not 0 < low < high:
            raise ValueError(
                f"sigma_range {low:g},{high:g} is empty: give two noise levels, the lower first, "
                "such as 0.05,5"
            )
        for name, least in (("rank", 1), ("steps", 1), ("batch", 1), ("shift", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}: give {least} or more")
        for name in ("lr", "scale", "prior_weight"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} {value}: give a finite number that is not negative")

    def plain(self) -> dict:
        """As JSON has it."""
        return asdict(self) | {"sigma_range": list(self.sigma_range)}
