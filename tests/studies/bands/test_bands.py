"""The study of bands: one tiny run over two warm-ups, its rows and its table."""

import json

import numpy as np
import pytest

from studies.bands.__main__ import main
from studies.bands.unit import rms, seam_ratio


def words(material, tmp_path) -> list[str]:
    return (
        f"--weights {material.weights} --dataset {material.dataset} --reference "
        f"{material.reference} --rows {tmp_path}/rows --work {tmp_path}/work --images 16 "
        "--counts 2 --warm-ups 0,40 --evaluations 8 --seeds 21"
    ).split()


def test_rows_tell_bands_from_whole_images(material, tmp_path, capsys):
    main(words(material, tmp_path))
    rows = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "rows").iterdir()}
    assert set(rows) == {"8-whole-21", "8-2bands-0-21", "8-2bands-40-21"}
    assert rows["8-whole-21"]["rms_from_whole"] == 0
    # A warm-up of all evaluations draws the whole images, but for rounding.
    assert rows["8-2bands-40-21"]["rms_from_whole"] < 0.2 < rows["8-2bands-0-21"]["rms_from_whole"]
    assert "| 2 displaced bands | 8 | 40 | 1 |" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    main(words(material, tmp_path))  # rows that stand are not computed again
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--counts", "3"], "8 rows cannot be cut into 3 equal bands"),
        (["--evaluations", "9"], "there are 8, 18, 35"),
        (["--warm-ups", "-1"], "at least 0"),
        (["--counts", "a"], "--counts a: give numbers"),
    ],
)
def test_bad_arguments_end_in_one_line(changes, message, material, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*words(material, tmp_path), *changes])
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_step_between_two_bands_is_a_seam():
    whole = np.tile(np.arange(8, dtype=np.uint8)[None, :, None, None] ** 2, (2, 1, 8, 1))
    assert seam_ratio(whole, whole, 2) == seam_ratio(whole, whole, 4) == 1.0
    pixels = whole.copy()
    pixels[:, 4:] += 14  # beside the 7 between rows 3 and 4 of 0, 1, 4, 9, 16
    assert seam_ratio(pixels, whole, 2) == 3.0 and rms(whole, whole) == 0
