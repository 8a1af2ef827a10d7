"""How fast something grows: the fit, what is measured, and a whole watch of a stand-in training."""

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from benchmarks import long_run
from benchmarks.growth import fit, memory_mb, size_mb, student_t

MINUTES = np.arange(360) / 12

TRAINING = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
os.makedirs(".runs/train-a", exist_ok=True)
held = []
for step in range(1, 10_000):
    held.append(b"x" * 500_000)
    with open(".runs/train-a/curves.jsonl", "a") as stream:
        stream.write(json.dumps({"nimg": 100 * step}) + "\\n")
    with open("mlflow.db", "ab") as stream:
        stream.write(b"y" * 20_000)
    time.sleep(0.02)
"""


def noise(seed):
    """Of unit deviation; neighbours depend on each other, as those of a garbage collector do."""
    draws = np.random.default_rng(seed).standard_normal(len(MINUTES) + 4)
    return np.convolve(draws, np.ones(5) / np.sqrt(5), "valid")


def test_the_interval_holds_the_slope_and_tells_growth_from_none():
    held = 0
    for seed in range(40):
        flat = fit(MINUTES, 500 + noise(seed))
        held += flat.low <= 0 <= flat.high
        grown = fit(MINUTES, 500 + 0.4 * MINUTES + noise(seed))
        assert grown.low > 0 and grown.slope == pytest.approx(0.4, abs=0.15)
    assert held >= 34, "of 40 intervals of 95% for a slope of 0"


def test_the_warm_up_does_not_count():
    loading = 300 * np.minimum(MINUTES / 9, 1)
    assert fit(MINUTES, loading).slope == pytest.approx(0, abs=1e-9)
    assert fit(MINUTES, loading).first == 300
    few = fit(MINUTES[:9], loading[:9])
    assert few.slope is None and few.told == "too few samples"
    assert student_t(8) == pytest.approx(2.306, abs=1e-3)


def test_memory_of_children_and_files_beside_a_data_base_count(tmp_path):
    words = [sys.executable, "-c", "x = bytearray(60_000_000); print(1, flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    before = memory_mb(os.getpid())
    with subprocess.Popen(words, **pipes) as child:
        child.stdout.readline()
        assert 60 < memory_mb(os.getpid()) - before < 120
        child.communicate(b"\n")
    assert memory_mb(child.pid) == 0
    for name in ("mlflow.db", "mlflow.db-wal", "other"):
        (tmp_path / name).write_bytes(b"x" * 500_000)
    assert size_mb(tmp_path / "mlflow.db") == 1 and size_mb(tmp_path) == 1.5
    assert size_mb(tmp_path / "gone") == 0


def test_a_training_that_grows_is_seen_to_grow(tmp_path, monkeypatch):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets/digits.yaml").write_text("sampling: {}\ntrain: {lr: 0.1}\n")
    (tmp_path / "outputs/dataset").mkdir(parents=True)
    started = []

    def command(folder, *words):
        started.append((folder / "params.yaml").read_text())
        return subprocess.Popen([sys.executable, "-c", TRAINING], cwd=folder)

    monkeypatch.setattr(long_run, "command", command)
    samples, images = long_run.watch_training(tmp_path, 0.04, True, 0.02, pilot_s=0.2)
    assert images > 1000 and len(samples.minutes) > 15
    for name in ("memory", "mlflow.db", ".runs"):
        assert samples.growth()[name].low > 0, name
    lengths = [yaml.safe_load(text)["train"]["total_kimg"] for text in started]
    assert lengths[0] == 1e5 and 2 <= lengths[1] <= 14, "so long that it lasts these minutes"
    kept = long_run.thinned(samples)
    assert len(kept["minutes"]) == len(kept["memory"]) <= 60
