"""Floors that are kept in a file."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import evaluation.kept.floors
from evaluation.config import EvaluationConfig
from evaluation.kept.floors import Floors, floors_file, read_floors, write_floors

CONFIG = EvaluationConfig(floor_draws=3)


@pytest.fixture
def floors():
    rng = np.random.default_rng(0)
    drawn = {"fd": rng.normal(size=3), "lid_ratio": np.array([1 / 3, np.nan, np.inf])}
    return Floors(drawn, rng.normal(size=(3, 7, 2)))


def reference(**changes):
    rng = np.random.default_rng(1)
    parts = {
        "manifest": {"dataset_hash": "a", "protocol": {"weights_sha256": "b"}},
        "held_out_features": rng.normal(size=(10, 4)).astype(np.float32),
        "train_mean": rng.normal(size=4),
        "train_cov": rng.normal(size=(4, 4)),
    }
    return SimpleNamespace(**(parts | changes))


def test_what_is_read_is_what_was_written(floors, tmp_path):
    path = tmp_path / "new" / "floors.npz"
    assert read_floors(path) is None
    write_floors(path, floors)
    found = read_floors(path)
    assert found is not None and found.drawn.keys() == floors.drawn.keys()
    for name, value in floors.drawn.items():
        np.testing.assert_array_equal(found.drawn[name], value)
    np.testing.assert_array_equal(found.distances, floors.distances)
    assert [file.name for file in path.parent.iterdir()] == ["floors.npz"]


def test_a_damaged_file_is_as_none(floors, tmp_path):
    """Cut anywhere, or with any byte changed, it gives nothing or what was written."""
    path = tmp_path / "floors.npz"
    write_floors(path, floors)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert read_floors(path) is None, end
    unnoticed = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        found = read_floors(path)
        if found is not None:  # a byte that says nothing of the content, like a date
            unnoticed += 1
            assert found.drawn.keys() == floors.drawn.keys(), place
            np.testing.assert_array_equal(found.distances, floors.distances)
            for name, value in floors.drawn.items():
                np.testing.assert_array_equal(found.drawn[name], value)
    assert unnoticed < 0.5 * len(whole)
    for parts in ({"distances": np.zeros((3, 7, 2)), "fd": np.zeros(3)}, {"fd": np.zeros(3)}):
        with open(path, "wb") as stream:
            np.savez(stream, **parts)
        assert read_floors(path) is None, "not written by write_floors"


def test_a_folder_that_cannot_be_written_costs_no_result(floors, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not kept for the next item: .*file"):
        write_floors(tmp_path / "file" / "floors.npz", floors)


def test_all_that_decides_floors_is_part_of_the_name(tmp_path, monkeypatch):
    def name(of=None, config=CONFIG, n=5, seed=0):
        return floors_file(tmp_path, of or reference(), config, n, seed)

    first = name()
    assert name() == first and first.parent == tmp_path and first.suffix == ".npz"
    other = reference().held_out_features.copy()
    other[-1, -1] += 1e-6
    changed = [
        name(n=6),
        name(seed=1),
        name(reference(manifest={"dataset_hash": "c"})),
        name(reference(held_out_features=other)),
        name(reference(train_mean=np.zeros(4))),
        name(reference(train_cov=np.eye(4))),
        *(
            name(config=CONFIG.model_copy(update={key: 7}))
            for key in ("k", "kid_subsets", "kid_subset_size", "floor_draws")
        ),
    ]
    monkeypatch.setattr(evaluation.kept.floors, "version", lambda library: "another")
    changed.append(name())
    monkeypatch.undo()
    package = tmp_path / "package"
    shutil.copytree(Path(evaluation.kept.floors.__file__).parents[1], package)
    monkeypatch.setattr(evaluation.kept.floors, "__file__", str(package / "kept" / "floors.py"))
    assert name() == first, "the place of the code decides nothing"
    with open(package / "manifold.py", "a") as stream:
        stream.write("# one more line")
    changed.append(name())
    (package / "new_metric.py").write_text("")
    changed.append(name())
    assert len({first, *changed}) == len(changed) + 1
    monkeypatch.undo()
    # How many images are shown, or put through the extractor at once, decides no floor.
    for key in ("picture_images", "batch_size", "num_images"):
        assert name(config=CONFIG.model_copy(update={key: 9})) == first
