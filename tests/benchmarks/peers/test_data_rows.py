"""Rows of batches, averages, reconstruction, neighbours and growth."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import neighbours
from benchmarks.peers import averages, batches, growth, reconstruction
from benchmarks.peers.child import Taken
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.ema_reconstruction import reconstruct
from models.power_ema import posthoc_coefficients

SHAPE = (3, 8, 8)
TINY = ModelConfig(
    channels=8,
    channel_mult=(1,),
    blocks=1,
    attention_resolutions=(),
    structural_blocks=(),
    class_conditional=False,
)


def test_a_million_images_take_no_room_and_are_a_data_set(tmp_path):
    dataset = batches.sparse_images(tmp_path / "map", 100_000, 32)
    assert len(dataset.train_indices) == 99_999 and dataset.image_shape == (3, 32, 32)
    assert (tmp_path / "map/images.npy").stat().st_size > 300e6
    assert (tmp_path / "map/images.npy").stat().st_blocks * 512 < 1e6


def test_files_give_the_batches_that_the_memory_map_would(tmp_path):
    batches.write_pngs(tmp_path / "png", 6, 8)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    read = batches.Pictures(sorted((tmp_path / "png").glob("*.png")))
    expected = torch.from_numpy(pixels[4]).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(read[4], expected)


def test_rows_of_batches(monkeypatch):
    small = {"IMAGES": 300, "FILES": 32, "SIDE": 8, "WORKERS": (0,), "ROUNDS": 2, "CONFIG": TINY}
    for name, value in small.items():
        monkeypatch.setattr(batches, name, value)
    loaded, images, everything = batches.rows()
    assert loaded.peer == "DataLoader over PNG, 0 workers" and loaded.ratio < 1
    assert images.aim == everything.aim == 0.02
    assert images.ours > 0 and 0 < everything.ours < everything.peers


def test_rows_of_averages(monkeypatch):
    class Average:
        def __init__(self, parameters, decay, foreach):
            self.shadow, self.decay = [p.detach().clone() for p in parameters], decay

        def to(self, device):
            assert device == torch.device("cpu")

        def step(self, parameters):
            stepped.append(self)

    stepped: list[Average] = []
    monkeypatch.setitem(
        sys.modules, "diffusers.training_utils", SimpleNamespace(EMAModel=Average)
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "ema_pytorch", None)
    beside, without = averages.rows_on(Place(), TINY, SHAPE)
    assert beside.ratio and len({id(one) for one in stepped}) == 2 * len(averages.LENGTHS)
    assert "floor" in beside.note and "ema_pytorch is not installed" in without.note


def test_reconstruction_reads_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(reconstruction, "TIMES", 3)
    network = Denoiser(SHAPE, 0, TINY)
    reconstruction.write_ours(network, tmp_path)
    made = reconstruct(tmp_path, (reconstruction.LENGTH,))[0][reconstruction.LENGTH]
    weights = posthoc_coefficients(
        [1000, 2000, 3000], reconstruction.TRACKED, 3000, reconstruction.LENGTH
    )
    total = 0.0
    for position, (time, which) in enumerate((t, w) for t in (1, 2, 3) for w in (0, 1)):
        parts = dict(reconstruction.snapshot(network, time, which))
        total = total + weights[position] * parts["unet.output.weight"].double()
    torch.testing.assert_close(made["unet.output.weight"].double(), total, rtol=1e-5, atol=1e-5)


def test_rows_of_reconstruction_without_the_peer(monkeypatch):
    monkeypatch.setitem(sys.modules, "ema_pytorch", None)
    for name, value in {"TIMES": 2, "ROUNDS": 1, "CONFIG": TINY, "SHAPE": SHAPE}.items():
        monkeypatch.setattr(reconstruction, name, value)
    size = 4e-6 * sum(p.numel() for p in Denoiser(SHAPE, 0, TINY).parameters())

    def child(work, *arguments):
        if work.endswith("theirs"):
            raise reconstruction.PeerMissing("it is not installed")
        return Taken(1.0, 4 * size, None)

    monkeypatch.setattr(reconstruction, "in_a_child", child)
    seconds, memory = reconstruction.rows()
    assert "ema_pytorch is not installed" in seconds.note
    assert memory.ours == pytest.approx(4.0) and memory.unit == "models" and memory.missed


def test_queries_beside_scikit_learn_and_faiss(monkeypatch):
    class Index:
        def __init__(self, features):
            self.bank = None

        def add(self, bank):
            self.bank = torch.from_numpy(bank)

        def search(self, queries, k):
            found = torch.cdist(torch.from_numpy(queries), self.bank).topk(k, largest=False)
            return found.values.numpy(), found.indices.numpy()

    fake = SimpleNamespace(IndexFlatL2=Index, omp_set_num_threads=lambda threads: None)
    monkeypatch.setitem(sys.modules, "faiss", fake)
    monkeypatch.setattr(neighbours, "BANK_ROUNDS", 1)
    rows = list(neighbours.in_bank(2000, torch.Generator().manual_seed(0)))
    assert [row.peer for row in rows] == ["scikit-learn brute", "faiss-cpu"]
    assert all(row.note == "100.00% of the indices equal" for row in rows)


def test_the_exponent_of_a_power():
    sizes = [3, 12, 48]
    assert growth.exponent(sizes, [7 * n**2.5 for n in sizes]) == pytest.approx(2.5)
    assert growth.exponent(sizes, [4.0, 4.0, 4.0]) == pytest.approx(0)


def test_work_that_grows_too_fast_is_over_the_aim(monkeypatch):
    monkeypatch.setattr(
        growth, "side_by_side", lambda ways, rounds: {n: [0.01 * int(n) ** 1.2] for n in ways}
    )
    row = growth.row_of("x", [1, 4, 16], 1, lambda size: lambda: None)
    assert row == Row("x", pytest.approx(1.2), aim=1.1, note=row.note, unit="") and row.missed
    assert row.note.startswith("1: 0.01 s, 4: 0.0528 s")


def test_each_kind_of_work_runs(monkeypatch):
    small = dict.fromkeys(growth.BASE, 8) | {"batches": 40, "bank": 100}
    for name, value in {"BASE": small, "TIMES": (1, 2), "ROUNDS": 1}.items():
        monkeypatch.setattr(growth, name, value)
    monkeypatch.setattr(growth, "SMALL", TINY)
    monkeypatch.setattr(growth, "made_up_images", lambda folder: made_small(folder))
    rows = list(growth.rows())
    assert len(rows) == len(small) and all(np.isfinite(row.ours) for row in rows)


def made_small(folder):
    from benchmarks.peers.our_training import made_up_images

    return made_up_images(folder, SHAPE)
