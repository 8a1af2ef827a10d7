"""YAML files of settings: plain data as DVC reads them, or one message with file, line and key."""

import io

import pytest
import yaml
from ruamel.yaml import YAML

from pipelines.settings.yaml_file import ParamsError, read_value, read_yaml, yaml_text

SHARED = "s: &s {solver: heun, steps: 18}\n"
READ_BY_BOTH = [
    SHARED + "t:\n  <<: *s\n  steps: 9\n",
    SHARED + "u: &u {steps: 4, k: 1}\nt:\n  <<: [*s, *u]\n",
    SHARED + "u: &u {steps: 4, k: 1}\nt: {k: 9, <<: [*u, *s], steps: 2}\n",
    SHARED + "u: &u {<<: *s, k: 1}\nt: {<<: *u}\n",
    SHARED + 't: {"<<": *s}\n',
    "a: &x 3\nb: &x 4\nc: [*x, *x]\n",
    "&x a: 1\nb: *x\n",
    "a: &x k\n*x : 1\n",
    "---\na: {b: [1, {c: d}], e: 'it''s'}\n...\n",
    'a: |\n  x\n  y\nb: >-\n  x\n  y\nc: "t\\x41\\u00e9"\n',
    "\ufeffa: 1\r\nb: 2\r\n",
    "? a\n: 1\nb:\n",
    "",
]


@pytest.mark.filterwarnings("ignore")  # of an anchor named twice
@pytest.mark.parametrize("text", READ_BY_BOTH)
def test_what_is_read_is_what_dvc_reads(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_bytes(text.encode())
    assert read_yaml(path) == YAML(typ="safe").load(path.read_text(encoding="utf-8-sig"))


def test_what_an_alias_repeats_can_be_changed_alone():
    read = read_value(SHARED + "t: *s\n")
    read["t"]["steps"] = 1
    assert read["s"]["steps"] == 18


REFUSED = [
    ("seed: 0\nseed: 1\n", r"line 2: seed: this key is given twice"),
    ("a:\n  b:\n  - {c: 010}\n", r"line 3: a\.b\[0\]\.c: 010 is 8 to one"),
    ("a: {on: 1}\n", r"line 1: a: on is true to one"),
    ("a: {1: b}\n", r'line 1: a: 1: a key must be text: write "1":'),
    ("a: {null: b}\n", r"line 1: a: null: a key must be text"),
    ("? [a, b]\n: 1\n", r"line 1: a key must be text, not a list"),
    ("a: !!set {x, y}\n", r"line 1: a: the tag !!set is not read"),
    ("a: !!binary aGVsbG8=\n", r"line 1: a: the tag !!binary"),
    ("a: !!python/object/apply:os.system [ls]\n", r"a: the tag !!python/object/apply:os.system"),
    ("a: &x [1, *x]\n", r"line 1: a\[1\]: \*x lies within what it repeats"),
    ("a: {b: *none}\n", r"line 1: a\.b: \*none: no &none stands before it"),
    ("a: &x 3\nb: {<<: *x}\n", r"line 2: b: << takes a section or a list of them"),
    ("a: 1\n---\nb: 2\n", r"line 2: a second document begins"),
    ("%YAML 1.1\n---\na: 010\n", r"line 1: %YAML 1\.1 changes what some readers"),
    ('a: "\\0"\n', r"line 1: a: the character '\\x00'"),
    ("a: [1\n", r"line 2 is not valid YAML"),
    ("a:\n\tb: 1\n", r"line 2 is not valid YAML"),
    ("[" * 100_000, r"line 1: .* nested more than 64 deep"),
    ("a: [" + "x," * 60_000 + "]", r"line 1: a\[\d+\]: the file holds more than 50,000 values"),
    ("a: " + "x" * 2_000_000, r"larger than 1,000,000 bytes"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_json_cannot_say_is_refused_at_its_line_and_key(tmp_path, text, told):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=told) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("content", ["[x, x, x, x]", "{p: 1, q: 2}", '"' + "x" * 9999 + '"'])
def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(tmp_path, content):
    lines = [f"a0: &a0 {content}"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    path = tmp_path / "p.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ParamsError, match=r"line \d: a\d.* more than 50,000 values \(what aliases"):
        read_yaml(path)


def test_files_that_are_no_text_are_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ParamsError, match=r"latin\.yaml line 2 holds the byte 0xe9, .* not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
    with pytest.raises(ParamsError, match=r"cannot be read \(it is not a file\)"):
        read_yaml(tmp_path)
    with pytest.raises(ParamsError, match="not a file"):
        read_yaml("/dev/zero")


@pytest.mark.parametrize("text", ["[1", "010", "yes", "{a: 1, a: 2}", "!!set {a}", "*x", "a: b: c"])
def test_a_single_value_is_held_to_the_same(text):
    with pytest.raises(ParamsError) as caught:
        read_value(text)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_text_for_every_reader():
    words = ["010", "0o17", "1e3", "-.5", "yes", "off", "2:00", "1_000", "2024-05-01", "", "null"]
    data = {"a": [*words, "plain", "two words", 1, 1e-5, 1e20, True, None], "b": {"on": "y: z"}}
    text = yaml_text(data)
    assert read_value(text) == data
    assert yaml.safe_load(text) == data
    assert YAML(typ="safe").load(io.StringIO(text)) == data
