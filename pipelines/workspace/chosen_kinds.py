"""Which kinds of the tables in stage_code.py a stage uses, by its params.

Imports nothing slow: the stage `kinds` asks this at every change of params. Params are plain data
here, as in the file; a value that the file leaves out is a KeyError.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.workspace.imports import Kinds

Plain = Mapping[str, Any]

# What is chosen where the file says nothing or null (tests compare both with the owners).
GAME_SAMPLER: Plain = {"solver": "ddim", "grid": "karras"}
METHOD = "denoising"

NO_CHOICE = ("reconstruct", "summarize")
"""Stages that run no network and draw no image."""


def chosen_kinds(stage: str, params: Plain, sampler: str | None = None) -> Kinds:
    """The kinds that decide the stage's result.

    params: the whole of params.yaml. sampler: the item's, for evaluate; None: all of `samplers`.
    The previews of a training are drawn by a sampler that no param names and leave no trace in
    it, so their solver does not count.
    """
    if stage == "prepare":
        return {"source": {params["dataset"]["source"]}}
    if stage == "reference":
        return _of_judging(params)
    if stage == "train":
        method = {"method": {params["train"].get("method", METHOD)}}
        return method | _of_network(params["model"]) | _of_the_game(params["structure"])
    if stage == "evaluate":
        names = params["samplers"] if sampler is None else [sampler]
        samplers = [params["sampling"][name] for name in names]
        return _of_network(params["model"]) | _of_judging(params) | _of_sampling(samplers)
    assert stage in NO_CHOICE, stage
    return {"block": ()}


def judging_kinds(params: Plain, sampler: str) -> Kinds:
    """The kinds behind a sweep's judgements: those of an evaluation, which plays no game."""
    return {**chosen_kinds("evaluate", params, sampler), "form": ()}


def _of_network(model: Plain) -> dict[str, set[str]]:
    return {"block": {block["kind"] for block in model["structural_blocks"]}}


def _of_the_game(structure: Plain) -> dict[str, set[str]]:
    if structure["kind"] == "none":
        return {"form": set(), "extractor": set(), **_of_sampling([])}
    features = structure["features"]
    on_path = structure["fakes"] in ("onpolicy", "deployed")
    return {
        "form": {structure["kind"]},
        "extractor": {features} - {"denoiser", "pixels"},
        **_of_sampling([structure["sampler"] or GAME_SAMPLER] if on_path else []),
    }


def _of_sampling(samplers: Iterable[Plain]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"solver": set(), "grid": set(), "guidance": set()}
    for sampler in samplers:
        found["solver"].add(sampler["solver"])
        found["grid"].add(sampler["grid"])
        found["guidance"] |= {entry["kind"] for entry in sampler.get("guidance") or ()}
    return found


def _of_judging(params: Plain) -> dict[str, set[str]]:
    extractor = params["evaluation"]["extractor"]
    # `auto` is decided by the images, and labelled images have a classifier whatever is asked for.
    asked = {"efficientnet_lite0"} if extractor == "auto" else {extractor}
    return {"extractor": asked | {"classifier"}}
