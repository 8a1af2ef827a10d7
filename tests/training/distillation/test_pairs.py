"""How far the teacher is with its pairs is told while it draws, and not where all are kept."""

from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from models.denoiser import load_denoiser
from sampling.config import SamplerConfig
from training.distillation import pairs
from training.events import PairsDrawn
from training.loop import train

FEW = SamplerConfig(solver="heun", grid="karras", steps=3)


@pytest.fixture
def drawn(teacher_file, digits, tmp_path, monkeypatch):
    """drawn(world, count=20) -> (done, total) of all that is told, with 8 pairs in a file."""
    monkeypatch.setattr(pairs, "CHUNK", 8)

    def make(world, count=20):
        teacher, told = load_denoiser(teacher_file), []
        found = pairs.TeacherPairs(teacher, FEW, 0, count, digits, tmp_path / "pairs")
        found.make(world, lambda done, total: told.append((done, total)))
        return told

    return make


def test_every_evaluation_is_told_and_kept_pairs_are_not_counted(drawn, tmp_path):
    told = drawn(World())
    assert told[-1] == (20, 20) and told == sorted(told) and len(told) > 3 * 3
    next((tmp_path / "pairs").rglob("00000008.npy")).unlink()
    again = drawn(World())
    assert again[-1] == (8, 8) and again[0][0] < 8
    assert drawn(World()) == []


def test_a_workers_share_stands_for_all(drawn):
    world = SimpleNamespace(rank=0, size=2, device=torch.device("cpu"), barrier=lambda: None)
    told = drawn(world)
    assert told[-1] == (20, 20), "12 of the 20 are rank 0's own"
    assert any(0 < done < 20 for done, _ in told) and told.count((20, 20)) == 1


def test_a_training_tells_it_before_its_first_step(student_settings, digits, tmp_path):
    events = []
    config = student_settings("regression", 0.032, pairs=40, sampler=FEW)
    train(config, digits, tmp_path, World(), events.append)
    kinds = [event.kind for event in events]
    told = [event for event in events if isinstance(event, PairsDrawn)]
    assert told[-1] == PairsDrawn(0, 40, 40)
    assert kinds.index("start") < kinds.index("pairs") < kinds.index("step")
