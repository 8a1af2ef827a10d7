"""Finds keys of the game in a space that no trial could measure, and says how to mend that."""

from collections.abc import Mapping

from pipelines.settings.schema import Params
from pipelines.sweeps.domain import Domain


def unmeasured_game(
    base: Params, domains: Mapping[str, Domain], sampler: str, metric: str, named: bool
) -> str | None:
    """A line if keys of the game vary and no trial measures what they change; else None.

    The game changes no image of a trial where it is not played, and where the denoiser has an
    adapter it trains that alone: images of a sampler that does not use the adapter stay the same,
    and so does the held-out loss.

    base: params with the values that all trials share. named: whether sweep.yaml names the sampler.
    """
    keys = [k for k, d in domains.items() if d.varies and k.split(".")[0] == "structure"]
    if not keys:
        return None
    head = f"space: {', '.join(keys)} would change nothing that a trial measures: "

    def takes(key: str, present: object) -> tuple[object, ...]:
        return domains[key].extremes if key in domains else (present,)

    if set(takes("structure.kind", base.structure.kind)) == {"none"}:
        return f"{head}structure.kind is none, so no game is played: choose a game, such as graph"
    ranks = takes("model.adapter_rank", base.model.adapter_rank)
    if 0 in ranks:  # there the game moves the denoiser itself
        return None
    head += (
        "where the denoiser has an adapter (model.adapter_rank) the game trains that alone, and "
    )
    if metric.startswith("held_out/"):
        return f"{head}the metric {metric} is the denoiser's without it: choose kid"
    if True in takes(f"sampling.{sampler}.adapter", base.sampling[sampler].adapter):
        return None
    using = [name for name, settings in base.sampling.items() if settings.adapter]
    mend = (
        f"set evaluation.sampler to {' or '.join(using)}"
        if using
        else "add a sampler with adapter: true under `sampling`, and name it there"
    )
    origin = "" if named else " (evaluation.sampler is null, so it is the first of `samplers`)"
    return f"{head}the trials are judged by {sampler}{origin}, which does not use it: {mend}"
