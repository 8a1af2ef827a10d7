"""Settings, sweeps and tables of captions of any content: read, or refused in one message.

SADM_EXAMPLES=10000 python -m pytest tests/pipelines/settings/test_fuzzed_settings.py
is the long version. What fails is made as small as it can be, and printed.
"""

import copy
import os
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset.errors import DatasetError
from dataset.sources.captions.config import InTable
from dataset.sources.captions.table_file import captions_in_table
from pipelines.params import check_params, load_params
from pipelines.settings.yaml_file import ParamsError
from pipelines.sweeps.space import load_sweep

ROOT = Path(__file__).parents[3]
EXAMPLES = int(os.environ.get("SADM_EXAMPLES", "300"))
EXAMINE = settings(
    max_examples=max(1, EXAMPLES // 4),
    deadline=None,  # other processes may take the processor; a hang ends by the suite's timeout
    database=None,
    derandomize="SADM_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
STUDENTS = {
    "steps": {"kind": "consistency", "samplers": ["one"]},
    "match": {"kind": "distribution_matching", "samplers": ["one"], "critic_steps": 2},
    "pairs": {"kind": "regression", "pairs": 100, "samplers": ["one"]},
    "ratio": {"kind": "ddo", "samplers": ["free"]},
}
ONE = {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}


def base():
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    raw["sampling"]["one"] = ONE
    raw["sampling"]["free"] = {"solver": "unipc", "grid": "log_snr", "steps": 8}
    return raw | {"students": copy.deepcopy(STUDENTS), "distil": ["steps"]}


def places(value, path=()):
    """The paths of all sections, lists and values."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def words(value):
    """All keys and words that settings hold: the likeliest to be put in a wrong place."""
    if isinstance(value, dict):
        return {k for k in value if isinstance(k, str)}.union(*map(words, value.values()))
    if isinstance(value, list):
        return set().union(*map(words, value))
    return {value} if isinstance(value, str) else set()


BASE = base()
PLACES = places(BASE)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 2**63, 10**400, -(10**400), 1e300, 5e-324, 0.1, 12**-0.5]),
    st.sampled_from(sorted(words(BASE))),
    st.text(max_size=12),
    st.text(min_size=300, max_size=400),
)
KEYS = st.one_of(st.sampled_from(sorted(words(BASE))), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner)),
    max_leaves=6,
)


@st.composite
def changed(draw, raw, where):
    """(settings with one to three changes, the keys that were changed)."""
    raw, keys = copy.deepcopy(raw), []
    for path in draw(st.lists(st.sampled_from(where), min_size=1, max_size=3, unique=True)):
        holder = raw
        try:
            for key in path[:-1]:
                holder = holder[key]
            there = holder[path[-1]]
        except (LookupError, TypeError):  # an earlier change took it away
            continue
        if not isinstance(holder, dict | list):  # or put a word in its place
            continue
        how = draw(st.sampled_from(["value", "value", "value", "lost", "more", "renamed"]))
        keys += [str(key) for key in path]
        if how == "value":
            holder[path[-1]] = draw(VALUES)
        elif how == "lost":
            del holder[path[-1]]
        elif how == "more" and isinstance(there, dict):
            there[draw(st.text(max_size=8))] = draw(VALUES)
        elif isinstance(holder, dict):
            holder[f"{path[-1]}{draw(st.text(max_size=2))}"] = holder.pop(path[-1])
    return raw, keys


def one_message(text, name):
    """Whether a message names its file first and is short: a line for each problem."""
    lines = text.splitlines()
    return text.startswith(name) and len(lines) <= 22 and max(map(len, lines)) < 700


@EXAMINE
@given(changed(BASE, PLACES))
def test_any_settings_are_taken_or_refused_with_key_and_mend(case):
    raw, keys = case
    try:
        params = check_params(raw, "p.yaml")
    except ParamsError as error:
        text = str(error)
        assert one_message(text, "p.yaml"), text[:500]
        assert not keys or any(key in text for key in keys), (keys, text[:500])
        return
    params.run_settings()
    for name in params.students:
        params.student_settings(name)
    assert check_params(params.model_dump(mode="json")) == params, "what is kept reads the same"


@EXAMINE
@given(changed(BASE, PLACES), st.data())
def test_any_text_of_settings_is_read_or_refused(tmp_path_factory, case, data):
    """The file itself: cut off, with a character more, or with one that is another."""
    text = yaml.safe_dump(case[0], allow_unicode=True, sort_keys=False)
    at = data.draw(st.integers(0, len(text)))
    more = data.draw(st.text(alphabet="{}[]:,-?&*!|>'\"%@` \n\t#~=<x1", max_size=3))
    text = data.draw(st.sampled_from([text[:at] + more, text[:at] + more + text[at + len(more) :]]))
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_params(path)
    except ParamsError as error:
        assert one_message(str(error), str(path)), str(error)[:500]


SWEEP = yaml.safe_load((ROOT / "sweep.yaml").read_text())
SWEEP_PLACES = places(SWEEP)


@EXAMINE
@given(changed(SWEEP, SWEEP_PLACES))
def test_any_sweep_is_taken_or_refused_with_key_and_mend(tmp_path_factory, case):
    raw, _ = case
    path = tmp_path_factory.getbasetemp() / "fuzzed_sweep.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8", errors="ignore")
    try:
        load_sweep(path, ROOT / "params.yaml")
    except ParamsError as error:
        text = str(error)
        assert one_message(text, (str(path), "params.yaml", str(ROOT / "params.yaml"))), text[:500]


ROWS = st.lists(
    st.lists(st.one_of(st.sampled_from(["file_name", "text", "a.png", "b/a.png"]), st.text())),
    max_size=5,
)
LINES = st.one_of(
    ROWS.map(lambda rows: "\n".join(",".join(row) for row in rows)),
    st.lists(VALUES.map(lambda value: yaml.safe_dump({"text": value})), max_size=3).map("".join),
    st.text(),
)


@EXAMINE
@given(
    st.one_of(st.binary(max_size=200), LINES.map(lambda t: t.encode("utf-8", "surrogatepass"))),
    st.sampled_from(["c.csv", "c.jsonl"]),
)
def test_any_table_of_captions_is_read_or_refused(content, file):
    config = InTable(kind="table", file=file)
    try:
        captions = captions_in_table(config, content, ["a.png", "b/a.png"])
    except DatasetError as error:
        assert file in str(error) and len(str(error).splitlines()) == 1, str(error)
        return
    assert len(captions) == 2 and all(isinstance(text, str) for text in captions)
