"""Plans the experiments of a comparison over seeds, and refuses what could not be compared."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.json_files import read_object
from pipelines.params import check_params
from pipelines.settings.cross_checks import remarks
from pipelines.settings.dotted_keys import (
    check_key,
    flatten,
    known_keys,
    override_text,
    with_values,
)
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError, read_value
from pipelines.settings.yaml_scalars import shortened
from pipelines.workspace.fingerprint import pipeline_tag
from pipelines.workspace.paths import DATASET, item_name, student_item_name

CHANGE_NO_JUDGEMENT = (
    "dataset.max_bad_fraction",
    "evaluation.batch_size",
    "evaluation.picture_images",
)
"""Params of the data and of the evaluation; the first decides only whether prepare fails."""
MAX_VARIANTS, MAX_SEEDS = 32, 1000


@dataclass(frozen=True)
class Experiment:
    """One seed of one variant."""

    variant: str
    seed: int
    values: dict[str, Any]
    tag: str
    """Hash of all params, data and code that its result depends on."""
    game: bool = True
    """Whether it plays a game; False: it is a control."""

    @property
    def name(self) -> str:
        """Name of the DVC experiment."""
        return f"rep-{self.tag[:10]}-s{self.seed}"


def plan(raw: dict[str, Any], seeds: str, options: Sequence[str]) -> list[Experiment]:
    """All experiments to run. Raises ParamsError if the params of any are not valid."""
    base = check_params(raw)
    choices: dict[str, list[Any]] = {}
    for option in options:
        key, given = parse_option(option)
        check_key(key, known_keys(base), "-S")
        if key == "seed":
            raise ParamsError("-S seed: give the seeds with --seeds, such as --seeds 3,7,11")
        if key in choices:
            raise ParamsError(f"-S {key} is given twice: write {key}=A,B")
        choices[key] = given
    rows = list(itertools.product(*choices.values()))
    if len(rows) > MAX_VARIANTS:
        raise ParamsError(f"-S makes {len(rows)} variants: more than {MAX_VARIANTS} is for a sweep")
    found = []
    for seed in parse_seeds(seeds, base.seed):
        for row in rows:
            variant = dict(zip(choices, row, strict=True))
            name = " ".join(f"{k}={override_text(v)}" for k, v in variant.items()) or "params.yaml"
            values = variant | {"seed": seed}
            params = check_params(with_values(raw, values), f"params.yaml with {name}")
            game = params.structure.kind != "none"
            found.append(Experiment(name, seed, values, pipeline_tag(params), game))
    return found


def check_item(item: str | None, raw: dict[str, Any], experiments: Sequence[Experiment]) -> None:
    """Raise ParamsError unless every experiment evaluates the item that is to be compared."""
    for experiment in experiments if item else ():
        params = check_params(with_values(raw, experiment.values))
        names = [item_name(n, s) for n in params.ema.lengths for s in params.samplers]
        for name in params.distil:
            one = params.students[name]
            names += [student_item_name(name, n, s) for n in one.lengths for s in one.samplers]
        if item not in names:
            raise ParamsError(
                f"--item {item}: with {experiment.variant} there are {', '.join(names)}"
            )


def parse_seeds(text: str, first: int) -> list[int]:
    """ "5" means five seeds from `first` on, "3,7" these two. Raises ParamsError."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    shown, count = shortened(text), len(numbers) if "," in text else sum(numbers)
    if count > MAX_SEEDS:
        raise ParamsError(f"--seeds {shown}: at most {MAX_SEEDS:,}, as each is a whole run")
    if "," not in text and len(numbers) == 1 and numbers[0] >= 1:
        return list(range(first, first + numbers[0]))
    if "," in text and numbers and min(numbers) >= 0 and len(set(numbers)) == len(numbers):
        return numbers
    raise ParamsError(f"--seeds {shown}: give a number of at least 1, or different seeds: 3,7,11")


def parse_option(option: str) -> tuple[str, list[Any]]:
    """ "key=a,b" -> (key, [a, b]); commas within brackets or quotes do not separate values.

    Raises ParamsError.
    """
    key, equals, text = option.partition("=")
    key = key.strip().lstrip("+")
    if not equals or not key or not text.strip():
        raise ParamsError(
            f"-S {option}: write KEY=VALUE or KEY=A,B, such as structure.kind=none,graph"
        )
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    try:
        values = [read_value(part.replace(":", ": ") if "{" in part else part) for part in parts]
    except ParamsError as error:
        raise ParamsError(f"-S {shortened(option)}: the values cannot be read: {error}") from None
    return key, values


def judged_differently(
    raw: dict[str, Any], experiments: Sequence[Experiment]
) -> dict[str, list[str]]:
    """{key: its value in each variant} of the params by which variants would be judged differently.

    Params of the data and of the evaluation count, but for those that change no judgement.
    """
    variants = {e.variant: check_params(with_values(raw, e.values)) for e in experiments}
    flat = [_judging(params) for params in variants.values()]
    return {
        key: [override_text(values.get(key)) for values in flat]
        for key in dict.fromkeys(key for values in flat for key in values)
        if len({str(values.get(key)) for values in flat}) > 1
    }


def _judging(params: Params) -> dict[str, Any]:
    """The params that a judgement depends on, flattened, with the name of the extractor used."""
    flat = flatten(params.model_dump(mode="json"))
    found = {
        key: value
        for key, value in flat.items()
        if key.split(".")[0] in ("dataset", "evaluation") and key not in CHANGE_NO_JUDGEMENT
    }
    found["evaluation.extractor"] = _extractor(params)
    if params.evaluation.extractor != "inception":
        del found["evaluation.inception_path"]
    return found


def _extractor(params: Params) -> str:
    """What extractor auto means for these images, as far as it is known before they are read."""
    asked, data = params.evaluation.extractor, params.dataset
    if asked != "auto":
        return asked
    if data.source == "digits":
        return "efficientnet_lite0" if data.channels == 3 else "classifier"
    if data.channels == 3:
        return "efficientnet_lite0"
    try:
        facts = read_object(DATASET / "dataset.json")
    except (OSError, ValueError):
        return asked
    own = data.model_dump(mode="json")
    if any(facts.get(key) != own[key] for key in ("source", "path", "name")):
        return asked
    if facts.get("channels") == 3 or not facts.get("num_classes"):
        return "efficientnet_lite0"
    # evaluation.reference wants 2 classes with training images, and at most 100.
    return "classifier" if 2 <= facts["num_classes"] <= 100 else asked


def plan_remarks(raw: dict[str, Any], experiments: Sequence[Experiment]) -> list[str]:
    """What is probably not meant in the params of each variant, one line each."""
    out = []
    for variant, values in {e.variant: e.values for e in experiments}.items():
        out += [f"{variant}: {r}" for r in remarks(check_params(with_values(raw, values)))]
    return out
