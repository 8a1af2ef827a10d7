"""What the predictor of an attribute is known by."""

from pipelines.settings.schema import Params
from pipelines.workspace.fingerprint import stage_identity
from pipelines.workspace.paths import EMA, length_name
from pipelines.workspace.stage_code import content_hash, hash_of


def predictor_fingerprint(params: Params, name: str, length: float) -> str:
    """Fingerprint of one predictor: its settings, denoiser, images, and the code of its stage."""
    identity = stage_identity("attributes", params)
    weights = EMA / f"{length_name(length)}.safetensors"
    files = (weights, weights.with_suffix(".json"))
    parts = [
        identity.inputs,
        identity.code,
        params.seed,
        params.noise.model_dump(mode="json"),
        params.attributes[name].model_dump(mode="json"),
        [content_hash(path) for path in files],
    ]
    return f"{hash_of(parts)[:16]}-{name}-{length_name(length)}"
