"""Whatever a params or sweep file holds: it is read, or one short message names file and place."""

import random

import pytest

from pipelines.params import load_params
from pipelines.settings.yaml_file import ParamsError
from pipelines.sweeps.space import load_sweep

VALUES = """
    010 0x10 1_000 2:00 yes .inf -.nan 1e999 1e300 -1 0 true null ~ "" '' x 2024-05-01 !!set {a,b}
    !!binary aGk= !foo [] {} [[]] [null] {a: {b: [c]}} *a &a [*a] "\\0" "\\ud800" << = @x `x` %x - ?
    : | > [1 } "x 99999999999999999999 {1: 2} {null: 1} {on: 1} {a: 1, a: 2} ? 1e-300 -0.0 [1,2,3,4]
    {kind: graph} {kind: null} [heun18,heun18] &x {<<: *x} {<<: 3} {<<: [3]} \u0000 \u2028 \ufeff \t
"""


def hostile_values() -> list[str]:
    return [line for line in VALUES.replace("\n    ", " ").strip().split(" ") if line] + [
        "x" * 5000,
        "1" * 5000,
        "[" * 500,
        "[" + "x," * 3000 + "]",
        "{" + "".join(f"k{i}: 1, " for i in range(500)) + "}",
        "!!set {a, b}",
        "{a: 1, a: 2}",
        "&a [*a]",
        "!!binary aGk=",
        "{1: 2}",
        "{null: 1}",
        "{<<: {kind: graph}}",
        "-1e300",
        str(2**63),
        '"caf\u00e9 \U0001f600"',
    ]


def hostile_files(text: str, count: int, seed: int):
    """Copies of a file in which lines have other values, other places, or are lost."""
    draw = random.Random(seed)
    lines, values = text.splitlines(), hostile_values()
    keyed = [index for index, line in enumerate(lines) if ":" in line.partition("#")[0]]
    for number in range(count):
        changed = list(lines)
        for index in draw.sample(keyed, draw.choice((1, 1, 1, 3))):
            key, _, _ = changed[index].partition(":")
            changed[index] = f"{key}: {values[(7 * number + index) % len(values)]}"
        if draw.random() < 0.2:  # a key becomes something else
            index = draw.choice(keyed)
            indent = len(changed[index]) - len(changed[index].lstrip())
            changed[index] = " " * indent + draw.choice(values[:40]) + ": 1"
        if draw.random() < 0.2:  # a line moves
            changed.insert(draw.randrange(len(changed)), changed.pop(draw.randrange(len(changed))))
        if draw.random() < 0.05:
            changed = changed[: draw.randrange(len(changed))]
        yield "\n".join(changed) + "\n"


def one_message(error: ParamsError, names: tuple[str, ...]) -> bool:
    """Whether the message names a file first, and is short: a line for each problem, at most 22."""
    lines = str(error).splitlines()
    return str(error).startswith(names) and len(lines) <= 22 and max(map(len, lines)) < 700


@pytest.mark.parametrize("seed", range(2))
def test_any_params_file_is_read_or_refused_in_one_message(tmp_path, pytestconfig, seed):
    text = (pytestconfig.rootpath / "presets" / "digits.yaml").read_text()
    path, refused = tmp_path / "p.yaml", 0
    for hostile in hostile_files(text, 60, seed):
        path.write_text(hostile, encoding="utf-8")
        try:
            load_params(path)
        except ParamsError as error:
            refused += 1
            assert one_message(error, (str(path),)), str(error)[:500]
    assert refused > 30


def test_any_sweep_file_is_read_or_refused_in_one_message(tmp_path, pytestconfig):
    root = pytestconfig.rootpath
    text = (root / "sweep.yaml").read_text()
    path, refused = tmp_path / "s.yaml", 0
    for hostile in hostile_files(text, 60, 0):
        path.write_text(hostile, encoding="utf-8")
        try:
            load_sweep(path, root / "params.yaml")
        except ParamsError as error:
            refused += 1
            assert one_message(error, (str(path), "params.yaml")), str(error)[:500]
    assert refused > 30


def test_a_file_of_random_bytes_is_refused_in_one_message(tmp_path):
    draw, path = random.Random(0), tmp_path / "p.yaml"
    for length in (0, 1, 7, 100, 5000):
        for alphabet in (range(256), b"{}[]:,-?&*!|>'\"%@` \n#ax01", b" \n:-a"):
            path.write_bytes(bytes(draw.choice(list(alphabet)) for _ in range(length)))
            try:
                load_params(path)
            except ParamsError as error:
                assert one_message(error, (str(path),)), str(error)[:500]


def test_twenty_thousand_unknown_keys_are_counted_and_the_first_ones_named(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("train:\n" + "".join(f"  batch_siz{i}: 1\n" for i in range(20_000)))
    with pytest.raises(
        ParamsError, match=r"p\.yaml has 20000 problems:\n  train\.batch_siz0: unk"
    ) as caught:
        load_params(path)
    assert "did you mean 'batch_size'" in str(caught.value)
    assert str(caught.value).endswith("... and 19980 more") and one_message(
        caught.value, (str(path),)
    )
