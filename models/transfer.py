"""Fine-tuning: start a denoiser from the weights of another run."""

from pathlib import Path

from models.denoiser import Denoiser
from models.layers.low_rank_adapter import with_named_adapters
from models.weights import WeightsError, load_tensors


def initialise_from(denoiser: Denoiser, path: str | Path) -> list[str]:
    """Copy given weights into `denoiser` (fine-tuning); returns the names that kept fresh values.

    These are a label embedding for another number of classes, and adapters that the file lacks or
    holds at another rank. Raises WeightsError, naming the first, if any other tensor is missing,
    has another shape, or is unknown here.
    """
    tensors = with_named_adapters(load_tensors(Path(path))[0])
    own = denoiser.state_dict()
    fresh = [
        n for n in own if _may_differ(n) and (n not in tensors or tensors[n].shape != own[n].shape)
    ]
    for name, tensor in own.items():
        if name in fresh:
            continue
        if name not in tensors:
            raise WeightsError(
                f"train.init_from: {path} has no tensor {name}: its model section "
                "must match params.yaml"
            )
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"train.init_from: {name} is {list(tensors[name].shape)} in {path} but "
                f"{list(tensor.shape)} here: make the model and dataset sections of params.yaml "
                "match"
            )
    unknown = [n for n in tensors if n not in own and not _may_differ(n)]
    if unknown:
        raise WeightsError(
            f"train.init_from: {path} has a tensor {unknown[0]} that this model lacks: "
            "make the model section of params.yaml match"
        )
    kept = {n: t for n, t in tensors.items() if n in own and n not in fresh}
    denoiser.load_state_dict(kept, strict=False)
    return fresh


def _may_differ(name: str) -> bool:
    return name.startswith("unet.label_embedding.") or ".adapters." in name
