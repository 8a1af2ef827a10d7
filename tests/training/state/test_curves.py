"""Points of the curves: what is kept, what is told."""

import json

import pytest

from training.state.curves import Curves


def write(path, nimgs=(16, 32, 48)):
    curves = Curves(path)
    for nimg in nimgs:
        curves.append(nimg, {"loss": nimg / 3})
    return curves.digest


def test_points_after_the_resumed_image_are_removed_and_known_points_pass(tmp_path):
    path = tmp_path / "curves.jsonl"
    known = write(path, (16, 32))
    write(path)
    curves = Curves(path, 32, digest=known, warn=pytest.fail)
    assert [row["nimg"] for row in curves.rows()] == [16, 32] and curves.digest == known


@pytest.mark.parametrize("spoil", ["lost", "altered", "cut", "binary", "other"])
def test_damage_is_told_in_one_line_and_stops_nothing(tmp_path, spoil):
    path, said = tmp_path / "curves.jsonl", []
    known = write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = {
        "lost": b"",
        "altered": lines[1].replace(b"10", b"11"),
        "cut": lines[1][:9],
        "binary": b"\xff\x00\n",
        "other": b"[1]\n12\n{}\n",
    }[spoil]
    path.write_bytes(b"".join(lines))
    curves = Curves(path, 48, digest=known, warn=said.append)
    assert len(said) == 1 and "curves.jsonl is damaged" in said[0]
    curves.write_csv(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().startswith("nimg,loss\n16,")
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())
