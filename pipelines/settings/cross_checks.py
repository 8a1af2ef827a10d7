"""Finds settings that are valid alone but impossible together, and says how to mend them."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.did_you_mean import spelling_hint
from foundation.number_names import number_name
from pipelines.settings.attribute_checks import attribute_problems, attribute_remarks
from pipelines.settings.autoencoder_checks import (
    autoencoder_batches,
    autoencoder_method,
    autoencoder_problems,
)
from pipelines.settings.band_checks import band_problems
from pipelines.settings.network_checks import undivided_heads, undivided_images
from pipelines.settings.student_checks import (
    student_batches,
    student_method,
    student_problems,
)
from pipelines.settings.text_checks import text_problems, text_remarks
from pipelines.settings.train_checks import train_problems, train_remarks
from training.methods.table import METHODS
from training.structure.config import StructureConfig
from training.structure.fake_levels import fake_levels

if TYPE_CHECKING:
    from pipelines.settings.schema import Params


def combination_problems(params: "Params") -> list[str]:
    """One line for each problem, with the YAML path and the mend."""
    return [
        *_method(params),
        *autoencoder_problems(params),
        *_model(params),
        *train_problems(params),
        *_cluster(params),
        *_structure(params, params.structure),
        *_student_games(params),
        *_averages(params),
        *_samplers(params),
        *band_problems(params, lambda: _side(params)),
        *attribute_problems(params),
        *_evaluation(params),
        *student_problems(params),
    ]


def remarks(params: "Params") -> list[str]:
    """One line for each setting that is allowed but probably not what the user meant."""
    out, model, game, train = [], params.model, params.structure, params.train
    sides = _sides(params)
    absent = [str(width) for width in model.attention_resolutions if width not in sides]
    if absent:
        out.append(
            f"model.attention_resolutions: no level is {' or '.join(absent)} pixels wide, so "
            f"nothing attends there; the levels are {', '.join(map(str, sides))} "
            f"({'latents' if params.autoencoder.kind != 'none' else 'dataset.resolution'}, halved)"
        )
    out += train_remarks(params)
    out += text_remarks(params, sides)
    out += attribute_remarks(params)
    if game.kind == "none":
        return out
    never = unplayed_game(params)
    if never is not None:
        out.append(never)
    gate_kimg = game.shut_plays * game.every * train.batch_size / 1000
    if game.refresh_kimg is not None and game.refresh_kimg <= gate_kimg:
        out.append(
            f"structure.refresh_kimg: {game.refresh_kimg:g} is over before the gate can open anew "
            f"({game.shut_plays} plays, {gate_kimg:g} kimg), so the game never moves the "
            "denoiser"
        )
    return out


def unplayed_game(params: "Params") -> str | None:
    """A line, with the mend, if the training is too short for the gate to open once; else None.

    The game is played at every `structure.every`-th step from its start on, and its gate is shut in
    the first `structure.gate.min_plays` of these plays.
    """
    game, train = params.structure, params.train
    if game.kind == "none":
        return None
    batch, steps = train.batch_size, params.run_settings().total_steps
    first = math.ceil(game.start_kimg * 1000 / batch)  # step at which the game starts
    opening = (math.ceil(first / game.every) + game.shut_plays) * game.every
    plays = len(range(math.ceil(first / game.every) * game.every, steps, game.every))
    if steps > opening:  # steps are counted from 0
        return None
    last = (steps - 1) // game.every * game.every - game.shut_plays * game.every
    mends = [f"set train.total_kimg above {opening * batch / 1000:g}"]
    if last >= 0:
        mends.append(f"structure.start_kimg to at most {last * batch / 1000:g}")
    for every in range(game.every - 1, 0, -1):  # the rarest plays that are enough
        if steps > (math.ceil(first / every) + game.shut_plays) * every:
            mends.append(f"structure.every to at most {every}")
            break
    if plays > 1 and game.shut_plays:
        mends.append(f"structure.gate.min_plays to at most {plays - 1}")
    least = game.shut_plays
    return (
        f"structure: the game will move nothing: it starts at {game.start_kimg:g} kimg "
        f"(start_kimg) and its gate is shut for the first {least} plays (gate.min_plays; {least} x "
        f"every {game.every} x batch {batch} = {least * game.every * batch / 1000:g} kimg), but a "
        f"training of {train.total_kimg:g} kimg has {plays} play{'s' * (plays != 1)}: "
        + ", or ".join(mends)
    )


def _sides(params: "Params") -> list[int]:
    """Width of each level of the network, in pixels."""
    return params.model.sides(_side(params))


def _side(params: "Params") -> int:
    """Height and width of what the denoiser sees."""
    return params.autoencoder.latent_side(params.dataset.resolution)


def _method(params: "Params") -> Iterator[str]:
    method = params.train.method
    elsewhere = student_method(method) or autoencoder_method(method)
    if elsewhere is not None:
        yield elsewhere
    elif method not in METHODS:
        hint = spelling_hint(method, METHODS)
        yield f"train.method: {method!r:.80} is no method of training{hint}"


def _model(params: "Params") -> Iterator[str]:
    if any(autoencoder_problems(params)):
        return
    model, side = params.model, _side(params)
    undivided = undivided_images(model, side, params.dataset.resolution)
    if undivided is not None:
        yield undivided
        return
    sides = _sides(params)
    yield from undivided_heads(model, sides, model.attended(sides))
    for position, block in enumerate(model.structural_blocks):
        refusal = block.refusal(model.bottleneck_channels, sides[-1])
        if refusal is not None:
            yield f"model.structural_blocks[{position}]{refusal}"
    yield from text_problems(params, sides)


def _cluster(params: "Params") -> Iterator[str]:
    cluster, workers = params.cluster, params.cluster.num_workers
    if isinstance(workers, tuple) and workers[0] > workers[1]:
        yield f"cluster.num_workers: [{workers[0]}, {workers[1]}] has its least above its most"
        return
    groups = range(max(1, cluster.fewest_workers), cluster.most_workers + 1)
    unit = math.lcm(*groups)  # any allowed number of workers divides it
    shared = {"train.batch_size": params.train.batch_size}
    if params.structure.kind != "none" and params.structure.batch_size:
        shared["structure.batch_size"] = params.structure.batch_size
    shared |= student_batches(params) | autoencoder_batches(params)
    for key, size in shared.items():
        odd = [workers for workers in groups if size % workers]
        if odd:
            low = size // unit * unit
            if unit > 1_000_000:
                yield (
                    f"cluster.num_workers: no {key} below a million is a multiple of each number "
                    f"from {groups[0]} to {groups[-1]}: let the two lie closer together"
                )
                continue
            yield (
                f"{key}: {size} is not a multiple of {odd[0]} workers (cluster.num_workers): "
                f"use {f'{low} or ' if low else ''}{low + unit}"
            )


def _student_games(params: "Params") -> Iterator[str]:
    for name, student in params.students.items():
        for line in _structure(params, student.structure):
            yield f"students.{name}.{line}"


def _structure(params: "Params", game: StructureConfig) -> Iterator[str]:
    if game.kind == "none":
        return
    try:
        fake_levels(game, game.sampler, params.model.sigma_data)
    except ValueError as error:
        yield str(error)
    extractor = params.evaluation.extractor
    if game.features == "efficientnet_lite0" and extractor == "efficientnet_lite0":
        yield (
            "structure.features: efficientnet_lite0 is the metric's network (evaluation."
            "extractor) too, and a game must not be judged by its own network: change one"
        )
    elif game.features == "efficientnet_lite0" and extractor == "auto":
        yield (
            "structure.features: efficientnet_lite0 may be what evaluation.extractor auto "
            "chooses, and a game must not be judged by its own network: name another extractor"
        )


def _averages(params: "Params") -> Iterator[str]:
    settings, ema = params.run_settings(), params.ema
    if settings.total_steps < ema.snapshots:
        yield (
            f"ema.snapshots: {ema.snapshots} snapshots do not fit the "
            f"{settings.total_steps} steps of train.total_kimg / train.batch_size: train longer "
            "or keep fewer"
        )
    if ema.tracked[0] == ema.tracked[1]:
        yield f"ema.tracked: both lengths are {number_name(ema.tracked[0])}: give two different"
    for length in sorted({n for n in ema.lengths if ema.lengths.count(n) > 1}):
        yield f"ema.lengths: {number_name(length)} is listed twice: leave one out"


def _samplers(params: "Params") -> Iterator[str]:
    for name in params.sampling:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            yield f"sampling.{name}: a sampler's name may have letters, digits and _ only"
    if len(set(params.samplers)) != len(params.samplers):
        yield "samplers: a name is listed twice"
    for name in dict.fromkeys(params.samplers):
        if name not in params.sampling:
            hint = spelling_hint(name, params.sampling)
            yield f"samplers: {name!r:.80} is not a name under sampling{hint}"
            continue
        sampler = params.sampling[name]
        if sampler.adapter and not params.model.adapter_rank:
            yield (
                f"sampling.{name}.adapter: true, but model.adapter_rank is 0: give the denoiser an "
                "adapter (rank 8, say), or set this to false"
            )
        for index, entry in enumerate(sampler.guidance):
            where = f"sampling.{name}.guidance[{index}]"
            if entry.needs.labels and not params.model.class_conditional:
                yield (
                    f"{where}: {entry.kind} needs labels, and model.class_conditional is false: "
                    "set it to true, or choose another kind of guidance"
                )
            if entry.needs.classifier:
                yield (
                    f"{where}: {entry.kind} needs a classifier that is not the metric's: use it "
                    "with python -m pipelines.sample --classifier FILE, and leave it out of "
                    "`samplers`"
                )
            file, length = entry.guiding_weights, entry.guiding_length
            if entry.needs.network and file is None and length is None:
                yield (
                    f"{where}: {entry.kind} needs a guiding denoiser: give length (one of "
                    "ema.lengths) or weights (a file)"
                )
            if file is not None and Path(file).parts[:1] == ("outputs",):
                yield (
                    f"{where}.weights: {file} is made by this very run: for another EMA length "
                    "give length, for another run's weights a copy outside outputs/"
                )
            if length is not None and length not in params.ema.lengths:
                yield (
                    f"{where}.length: {number_name(length)} is not made: add it to ema.lengths, or "
                    f"choose of {', '.join(map(number_name, params.ema.lengths))}"
                )


def _evaluation(params: "Params") -> Iterator[str]:
    if params.evaluation.extractor == "inception" and not params.evaluation.inception_path:
        yield (
            "evaluation.inception_path: extractor inception needs the file "
            "inception-2015-12-05.pt; set its path, or choose extractor auto"
        )
