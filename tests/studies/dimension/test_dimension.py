"""The study of dimensions: its statistics on known data, and a run of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from studies.dimension.__main__ import NAMES, main
from studies.dimension.experiments import EXPERIMENTS
from studies.dimension.statistics import (
    dimension,
    dimension_by_size,
    energy_quantiles,
    excess_distance,
    slope,
    variance_along_axes,
)

RANDOM = np.random.default_rng(0)
PARAMS = Path(__file__).parents[3] / "params.yaml"
AXES = RANDOM.normal(size=(4, 32))


def real(count, seed):
    """Points of four dimensions, curved, in a space of 32."""
    random = np.random.default_rng(seed)
    return np.sin(random.normal(size=(count, 4)) @ AXES / 3)


def noised(count, seed, size):
    return real(count, seed) + size * np.random.default_rng(seed + 1).normal(size=(count, 32))


def test_noise_raises_the_dimension_most_where_neighbours_are_near():
    clean, dirty = real(2048, 1), noised(2048, 2, 0.03)
    assert dimension(clean, 8) == pytest.approx(4, rel=0.2)
    rows = dimension_by_size(clean, dirty, (256, 1024, 2048, 10_000), (8, 32), 0)
    assert [(row["n"], row["k"]) for row in rows] == [
        (n, k) for n in (256, 1024, 2048) for k in (8, 32)
    ]
    assert rows[-2]["ratio"] > rows[0]["ratio"] > 1.02
    assert slope(rows) < -1.2
    assert np.isnan(slope([{"radius": 1.0, "ratio": 0.9}]))


def test_squared_distances_of_noise_and_of_another_place():
    found = excess_distance(real(2000, 1), real(2000, 3), 5)
    assert found["cross"] == pytest.approx(1, abs=0.1) and abs(found["surplus"]) < 0.2
    moved = excess_distance(real(2000, 1), real(2000, 3) + 0.2, 5)
    assert moved["surplus"] > 1 and moved["generated"] == pytest.approx(1, abs=0.1)


def test_the_order_of_a_set_decides_nothing():
    """Sets of folders come class by class: their first half is no sample of the second."""
    apart = np.concatenate([real(1000, 1), real(1000, 3) + 3.0])
    found = excess_distance(apart, np.random.default_rng(7).permutation(apart), 5)
    assert found["cross"] == pytest.approx(1, abs=0.15) and abs(found["surplus"]) < 0.3


def test_variance_along_axes():
    wide = np.random.default_rng(5).normal(size=(4000, 16)) * np.linspace(4, 0.5, 16)
    shrunk = wide.copy()
    shrunk[:, 8:] *= 0.5
    rows = variance_along_axes(wide, wide, shrunk)
    assert rows[0]["first"] == 1 and rows[-1]["last"] == 16
    assert rows[0]["ratio"] == pytest.approx(1, abs=0.02)
    assert rows[-1]["ratio"] == pytest.approx(0.25, abs=0.1)


def test_fine_detail():
    random = np.random.default_rng(6)
    noise = random.integers(0, 255, (50, 8, 8, 1)).astype(np.uint8)
    flat = np.full_like(noise, 100) + (noise // 8)
    found = energy_quantiles(noise, flat)
    assert all(value < 0.1 for value in found.values()) and list(found) == [
        *("0.01", "0.1", "0.5", "0.9", "0.99")
    ]


def test_a_run_leaves_rows_that_stand(material, tmp_path, capsys, monkeypatch):
    assert tuple(EXPERIMENTS) == NAMES
    params = yaml.safe_load(PARAMS.read_text())
    params["sampling"] = {"few": {"solver": "ddim", "grid": "karras", "steps": 2}}
    params["samplers"] = ["few"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    words = [str(material.weights), "--sampler", "few", "--images", "64"]
    words += ["--params", str(tmp_path / "params.yaml"), "--dataset", str(material.dataset)]
    words += ["--reference", str(material.reference), "--rows", str(tmp_path / "rows")]
    words += ["--out", str(tmp_path / "out"), "--guide", str(material.weights)]
    words += ["--series", str(material.weights)]
    monkeypatch.setattr("studies.dimension.experiments.LEVELS", (0.05, 1.0))
    main(words)
    rows = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "rows").glob("*.json")}
    assert set(rows) == {f"{name}-few" for name in NAMES}
    assert all(row["rows"] for name, row in rows.items() if not name.startswith("E3"))
    small = rows["E1-few"]["rows"][0]
    assert small["ratio"] == pytest.approx(1, abs=0.2)  # hardly noised: the images themselves
    assert "slope of" in capsys.readouterr().out
    monkeypatch.setitem(EXPERIMENTS, "E1", lambda given: pytest.fail("the row stands"))
    main(words)
    assert (tmp_path / "out" / "dimension.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name WEIGHTS and --sampler"),
        (["w", "--sampler", "x", "--arms", "E9"], "--arms E9: there are E1"),
        (["w", "--sampler", "none_such"], "--sampler none_such: params name"),
    ],
)
def test_bad_arguments_end_in_one_line(words, told, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert told in capsys.readouterr().err.splitlines()[-1]
