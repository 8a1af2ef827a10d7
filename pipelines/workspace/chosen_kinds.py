"""Which kinds of the tables in stage_code.py a stage uses with given params.

Params are plain data here, as in the file, and a missing key raises KeyError. This module imports
nothing slow, since the stage `kinds` runs at every change of params.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.workspace.imports import Kinds

Plain = Mapping[str, Any]

# What is used where the file says nothing or null (tests compare both with the settings classes).
GAME_SAMPLER: Plain = {"solver": "ddim", "grid": "karras"}
METHOD = "denoising"
BACKBONE = "unet"
PAIR_SAMPLER: Plain = {"solver": "heun", "grid": "karras"}
NO_GAME: Plain = {"kind": "none"}
NO_AUTOENCODER: Plain = {"kind": "none"}

NO_CHOICE = ("reconstruct", "summarize")
"""Stages that run no network and draw no image."""


def chosen_kinds(
    stage: str, params: Plain, sampler: str | None = None, student: str | None = None
) -> Kinds:
    """The kinds on which the stage's result depends.

    params: the whole of params.yaml. sampler: of the item, for evaluate; None: all of `samplers`.
    student: for distil and evaluate_students; None: all of `distil`.
    The solver that draws a training's preview images does not count: training does not depend on
    them, and no param names their sampler.
    """
    if stage == "prepare":
        return {"source": {params["dataset"]["source"]}}
    if stage in ("autoencoder", "encode"):
        kinds = _of_latents(params)
        if stage == "encode":
            return {"autoencoder": kinds, "maker": set()}
        own = {"autoencoder"} if "kl" in kinds else set[str]()
        trained = {"method": own, "block": set[str](), "backbone": set[str]()}
        trained["schedule"] = set()
        return {"autoencoder": kinds, "maker": kinds, **trained, **_of_the_game(NO_GAME)}
    if stage == "reference":
        return _of_judging(params)
    if stage == "train":
        method = {"method": {params["train"].get("method", METHOD)}}
        of_training = [_of_the_game(params["structure"]), _of_noise(params["noise"])]
        return method | _of_network(params) | _joined(of_training)
    if stage == "attributes":  # which reads stored latents, and draws no picture
        nothing = {"autoencoder": set[str](), "schedule": set[str](), **_of_sampling([])}
        return _of_network(params) | nothing
    if stage == "evaluate":
        names = params["samplers"] if sampler is None else [sampler]
        samplers = [params["sampling"][name] for name in names]
        return _of_network(params) | _of_judging(params) | _of_sampling(samplers)
    if stage == "distil":
        return _of_network(params) | _of_students(_students(params, student))
    if stage == "evaluate_students":
        names = {n for one in _students(params, student) for n in one["samplers"]}
        samplers = [params["sampling"][name] for name in names if sampler in (None, name)]
        return _of_network(params) | _of_judging(params) | _of_sampling(samplers)
    assert stage in NO_CHOICE, stage
    return {"block": (), "backbone": (), "text": ()}


def judging_kinds(params: Plain, sampler: str) -> Kinds:
    """The kinds on which a sweep's judgements depend: those of evaluate without the game's."""
    return {**chosen_kinds("evaluate", params, sampler), "form": ()}


def guiding_attributes(params: Plain, sampler: str) -> list[str]:
    """Names of the attributes whose predictors guide the sampler of this name, each once."""
    entries = params["sampling"][sampler].get("guidance") or ()
    return list(dict.fromkeys(e["attribute"] for e in entries if e.get("attribute")))


def _students(params: Plain, name: str | None) -> list[Plain]:
    """The settings of the student of this name; None: of all that are trained."""
    names = params.get("distil") or () if name is None else [name]
    return [params["students"][name] for name in names]


def _of_students(students: Iterable[Plain]) -> dict[str, set[str]]:
    """What training these students uses besides the network: methods, games, teachers' samplers."""
    found: dict[str, set[str]] = {"method": set()}
    for student in students:
        found["method"].add(student["kind"])
        pairs = student["kind"] == "regression" or student.get("regression")
        parts = [found, _of_the_game(student.get("structure") or NO_GAME)]
        parts += [_of_sampling([student.get("sampler") or PAIR_SAMPLER] if pairs else [])]
        found = _joined(parts)
    # Nothing of a table that no student uses; levels are drawn as their law has them.
    return {**_of_the_game(NO_GAME), **found, "schedule": set()}


def _joined(parts: Iterable[dict[str, set[str]]]) -> dict[str, set[str]]:
    """{table: the kinds of all parts}."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for table, kinds in part.items():
            found[table] = found.get(table, set()) | kinds
    return found


def _of_network(params: Plain) -> dict[str, set[str]]:
    model = params["model"]
    text = model.get("text")
    return {
        "backbone": {model.get("backbone", BACKBONE)},
        "block": {block["kind"] for block in model["structural_blocks"]},
        "autoencoder": _of_latents(params),
        "text": {text["kind"]} if text else set(),
    }


def _of_latents(params: Plain) -> set[str]:
    """The kind of autoencoder; none is no kind."""
    return {(params.get("autoencoder") or NO_AUTOENCODER)["kind"]} - {"none"}


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


def _of_noise(noise: Plain) -> dict[str, set[str]]:
    """The schedule of noise levels, and the sampler whose levels it draws."""
    of_sampler = [noise["sampler"]] if noise["schedule"] == "sampler" else []
    return {"schedule": {noise["schedule"]}, **_of_sampling(of_sampler)}


def _of_sampling(samplers: Iterable[Plain]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"solver": set(), "grid": set(), "guidance": set()}
    for sampler in samplers:
        found["solver"].add(sampler["solver"])
        found["grid"].add(sampler["grid"])
        if sampler["grid"] == "fitted":  # to fine steps of this solver
            found["solver"].add("heun")
        found["guidance"] |= {entry["kind"] for entry in sampler.get("guidance") or ()}
    return found


def _of_judging(params: Plain) -> dict[str, set[str]]:
    extractor = params["evaluation"]["extractor"]
    # The images decide what `auto` is, and labelled images always have a classifier too.
    asked = {"efficientnet_lite0"} if extractor == "auto" else {extractor}
    return {"extractor": asked | {"classifier"}}
