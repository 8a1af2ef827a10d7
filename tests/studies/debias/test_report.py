"""The table of the study, from rows written by hand."""

import json

import pytest
from PIL import Image

from studies.debias import picture
from studies.debias.report import SHOWN, table


def write(folder, data, arm, weight, seed, kid, discrepancy=0.1):
    """One row; the deviation of the KID's floor is 0.002."""
    metrics = {name: {"value": 0.5, "floor": 0.25, "floor_std": 0.002} for name in SHOWN}
    metrics["target_kid"]["value"] = kid
    metrics["fairness_discrepancy"]["value"] = discrepancy
    facts = {"data": data, "arm": arm, "weight": weight, "seed": seed, "metrics": metrics}
    path = folder / f"{data}-{arm}-{weight}-{seed}.json"
    path.write_text(json.dumps(facts | {"seconds_per_1000": 1.0}))


def cells(text):
    """{(data, arm, weight): the other cells}."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert len(lines) == len({tuple(line[:3]) for line in lines})
    return {tuple(line[:3]): line[3:] for line in lines}


def test_rows_of_another_weight_or_data_set_are_lines_of_their_own(tmp_path):
    for data, kid in (("shoes", 0.01), ("tones", 0.03)):
        write(tmp_path, data, "conditional", None, 21, kid)
        write(tmp_path, data, "marginal", 1.0, 21, kid + 0.001, 0.2)
        write(tmp_path, data, "marginal", 5.0, 21, kid + 0.004, 0.4)
    found = cells(table(tmp_path))
    for data in ("shoes", "tones"):
        assert found[data, "real images (floor)", ""][1] == "0.250 ± 0.002"
        assert found[data, "marginal", "1"][:3] == ["1", "0.200", "0.5"]
        assert found[data, "marginal", "5"][:3] == ["1", "0.400", "2.0"]
        assert found[data, "conditional", ""][2] == "0.0"
    assert len(found) == 8


def test_the_price_is_paired_by_seed(tmp_path):
    for seed, kid in ((21, 0.01), (22, 0.03)):
        write(tmp_path, "shoes", "conditional", None, seed, kid)
        write(tmp_path, "shoes", "marginal", 1.0, seed, kid + 0.002)
    write(tmp_path, "shoes", "marginal", 1.0, 23, 0.9)  # conditional has no such seed
    found = cells(table(tmp_path))
    assert found["shoes", "marginal", "1"][2] == "1.0 ± 0.0"


def test_the_seed_of_tuning_is_in_no_line(tmp_path):
    write(tmp_path, "shoes", "marginal", 1.0, 20, 0.9, 0.9)
    assert table(tmp_path).startswith("no row stands in")
    write(tmp_path, "shoes", "marginal", 1.0, 21, 0.01, 0.2)
    assert cells(table(tmp_path))["shoes", "marginal", "1"][:3] == ["1", "0.200", ""]


def test_the_pictures_of_arms_stand_beside_each_other(tmp_path, capsys):
    out = ["--work", str(tmp_path), "--out", str(tmp_path / "out.png"), "--data", "d"]
    with pytest.raises(SystemExit):
        picture.main(out)
    assert "python -m studies.debias draws it" in capsys.readouterr().err
    (tmp_path / "pictures").mkdir()
    for number, name in enumerate(("unguided", "marginal-1.15", "resampled", "conditional")):
        colour = (60 * number, 0, 0)
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"pictures/d-{name}-21.png")
    picture.main(out)
    drawn = Image.open(tmp_path / "out.png")
    assert drawn.size == (4 * 30 + 3 * picture.GAP, 20 + picture.LINE)
    centres = [drawn.getpixel((15 + n * (30 + picture.GAP), picture.LINE + 10)) for n in range(4)]
    assert centres == [(0, 0, 0), (60, 0, 0), (120, 0, 0), (180, 0, 0)]
