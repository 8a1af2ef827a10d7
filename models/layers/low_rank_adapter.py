"""Low-rank adapters: named second behaviours of a network that leave its own weights as they are.

Each magnitude-preserving layer may hold several adapters, by name; `switched_on` chooses which one
acts. In a state dict the adapter NAME of layer LAYER is `LAYER.adapters.NAME.down` and `.up`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from foundation.did_you_mean import spelling_hint
from models.layers.magnitude_preserving import MPConv

GAME = "game"
"""The adapter that the structure game trains, and that samplers with `adapter: true` switch on."""
_ADAPTER_TENSOR = re.compile(r"(?P<layer>.+)\.adapters\.(?P<name>\w+)\.(?P<part>down|up)")


class LowRank(nn.Module):
    """The update up @ down of a layer's weight (LoRA, arXiv 2106.09685, Eq. 3).

    Args:
        down: [rank, columns].
        up: [rows, rank].
    """

    def __init__(self, down: Tensor, up: Tensor):
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    @classmethod
    def fresh(cls, rows: int, columns: int, rank: int) -> "LowRank":
        """One that changes nothing yet: `down` is drawn at random, `up` is zero."""
        return cls(torch.randn(rank, columns) / rank**0.5, torch.zeros(rows, rank))

    def forward(self) -> Tensor:
        """[rows, columns], in units of the weight's own root mean square of one."""
        return self.up @ self.down


class AdaptedDenoiser(nn.Module):
    """A denoiser with one of its adapters switched on; called as the denoiser is, over its weights.

    Raises ValueError where the denoiser has no adapter of that name.
    """

    def __init__(self, denoiser: nn.Module, name: str = GAME):
        super().__init__()
        if not isinstance(denoiser, nn.Module) or name not in adapter_names(denoiser):
            raise ValueError(_missing(name, denoiser))
        self.denoiser, self.name = denoiser, name
        self.sigma_data: float = denoiser.sigma_data  # type: ignore[assignment]
        self.image_shape: tuple[int, int, int] = denoiser.image_shape  # type: ignore[assignment]
        self.num_classes: int = denoiser.num_classes  # type: ignore[assignment]

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        with switched_on(self.denoiser, self.name):
            return self.denoiser(x, sigma, labels)


@contextmanager
def switched_on(network: nn.Module, name: str | None) -> Iterator[None]:
    """Inside, the adapter of that name acts and no other; None: no adapter acts.

    A layer without an adapter of that name acts plainly. Contexts nest: the innermost one counts,
    and where it ends, the one around it counts again. Raises ValueError where the network has no
    adapter of that name.
    """
    layers = [module for module in network.modules() if isinstance(module, MPConv)]
    wanted = [name if name is not None and name in layer.adapters else None for layer in layers]
    if name is not None and not any(wanted):
        raise ValueError(_missing(name, network))
    before = [layer.active for layer in layers]
    for layer, active in zip(layers, wanted, strict=True):
        layer.active = active
    try:
        yield
    finally:
        for layer, active in zip(layers, before, strict=True):
            layer.active = active


def keep_on(network: nn.Module, name: str) -> None:
    """From now on the adapter of that name acts, except inside `switched_on`.

    Raises ValueError where the network has no adapter of that name.
    """
    layers = [layer for layer in _layers(network).values() if name in layer.adapters]
    if not layers:
        raise ValueError(_missing(name, network))
    for layer in layers:
        layer.active = name


def add_adapters(network: nn.Module, name: str, rank: int) -> None:
    """Give every magnitude-preserving layer a fresh adapter of that rank (less in smaller layers).

    Raises ValueError if the network has one of that name, or if it is not a name.
    """
    _check_new(network, name)
    for layer in _layers(network).values():
        rows, columns = layer.weight.flatten(1).shape
        fresh = LowRank.fresh(rows, columns, min(rank, rows, columns))
        layer.adapters[name] = fresh.to(layer.weight.device)


def install_adapter(network: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Give the network an adapter of these tensors, `LAYER.down` and `LAYER.up`.

    They are copied, and need gradients only where the layer's own weight does. Raises ValueError,
    and changes nothing, if the network has an adapter of that name or lacks a layer of that shape.
    """
    _check_new(network, name)
    layers, made = _layers(network), {}
    for key in sorted({tensor.rpartition(".")[0] for tensor in tensors}):
        down, up = tensors.get(f"{key}.down"), tensors.get(f"{key}.up")
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or len(down) != up.shape[1]:
            raise ValueError(f"the adapter's tensors {key}.down and .up do not make one update")
        if key not in layers:
            raise ValueError(f"the adapter changes layer {key}, which this network lacks")
        weight = layers[key].weight
        shape, own = [len(up), down.shape[1]], list(weight.flatten(1).shape)
        if shape != own:
            raise ValueError(f"the adapter's update of {key} is {shape}, its weight here is {own}")
        made[key] = LowRank(down.detach().clone(), up.detach().clone()).to(weight.device)
        made[key].requires_grad_(weight.requires_grad)
    for key, adapter in made.items():
        layers[key].adapters[name] = adapter


def remove_adapters(network: nn.Module) -> None:
    """Take away all adapters of the network, which then acts by its own weights alone."""
    for layer in _layers(network).values():
        layer.adapters.clear()
        layer.active = None


def remove_adapter(network: nn.Module, name: str) -> None:
    """Take away the adapter of that name, if there is one; the others stay."""
    for layer in _layers(network).values():
        if name in layer.adapters:
            del layer.adapters[name]
            layer.active = None if layer.active == name else layer.active


def adapter_names(network: nn.Module) -> list[str]:
    """Names of the network's adapters, sorted."""
    return sorted({name for layer in _layers(network).values() for name in layer.adapters})


def adapter_parameters(network: nn.Module, name: str | None = None) -> list[nn.Parameter]:
    """The parameters of the adapter of that name (None: of all); [] where there is none."""
    return [
        parameter
        for layer in _layers(network).values()
        for own, adapter in layer.adapters.items()
        if name in (None, own)
        for parameter in adapter.parameters()
    ]


def split_adapters(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """A state dict's plain weights, and by name each adapter's `LAYER.down` and `LAYER.up`."""
    plain: dict[str, Tensor] = {}
    adapters: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        found = _ADAPTER_TENSOR.fullmatch(key)
        if found is None:
            plain[key] = tensor
        else:
            adapters.setdefault(found["name"], {})[f"{found['layer']}.{found['part']}"] = tensor
    return plain, adapters


def merge_adapter(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Plain tensors that act as `tensors` do with the adapter of that name on.

    Its updates are added to the weights of their layers, as MPConv.forward does (fp32 at least),
    so that outputs are the same bit for bit. Other adapters are kept. Raises ValueError if there is
    no adapter of that name, or an update that fits no weight.
    """
    adapter = split_adapters(tensors)[1].get(name, {})
    if not adapter:
        raise ValueError(f"there is no adapter {name!r} to merge")
    merged = {k: t for k, t in tensors.items() if f".adapters.{name}." not in k}
    for layer in sorted({key.rpartition(".")[0] for key in adapter}):
        down, up = adapter.get(f"{layer}.down"), adapter.get(f"{layer}.up")
        weight = merged.get(f"{layer}.weight")
        if down is None or up is None or weight is None:
            raise ValueError(f"the adapter {name!r} has no whole update of {layer}.weight")
        wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
        merged[f"{layer}.weight"] = wide + (up @ down).view_as(wide)
    return merged


def with_named_adapters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file under today's names.

    Older files hold one adapter a layer, the game's, as `LAYER.adapter.down` and `.up`.
    """
    named = f".adapters.{GAME}."
    return {key.replace(".adapter.", named): tensor for key, tensor in tensors.items()}


def _layers(network: nn.Module) -> dict[str, MPConv]:
    return {key: layer for key, layer in network.named_modules() if isinstance(layer, MPConv)}


def _check_new(network: nn.Module, name: str) -> None:
    if not re.fullmatch(r"\w+", name) or hasattr(nn.ModuleDict(), name):
        raise ValueError(f"{name!r} cannot name an adapter: use letters, digits and underscores")
    if name in adapter_names(network):
        raise ValueError(f"this network has an adapter {name!r} already: choose another name")


def _missing(name: str, network: object) -> str:
    names = adapter_names(network) if isinstance(network, nn.Module) else []
    if name == GAME and not names:
        return (
            "the sampler switches on the denoiser's adapter, but this denoiser has none: "
            "train it with model.adapter_rank above 0, or set the sampler's adapter to false"
        )
    return (
        f"adapter {name!r} must be added or loaded first, this denoiser has none of that name"
        f"{spelling_hint(name, names)}"
    )
