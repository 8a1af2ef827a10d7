"""A teacher of 8x8 digits, trained for seconds, and settings of its students."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from small_runs import SMALL
from small_runs import settings as run_settings

from models.denoiser import Denoiser, describe
from models.weights import save_weights
from training.structure.config import GateConfig, StructureConfig
from training.students import STUDENTS


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory) -> Path:
    """An untrained denoiser with a gain at its output, so that it says something."""
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), 10, SMALL)
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.7)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    return path


@pytest.fixture
def student_settings(teacher_file):
    """student_settings(kind, **settings of the student) -> RunSettings."""

    def make(kind, total_kimg=0.128, train=None, micro_batch=None, **changes):
        student = STUDENTS[kind](samplers=("one",), **changes)
        run = run_settings(total_kimg, train={"method": kind} | (train or {}))
        return run.model_copy(
            update={
                "student": student,
                "structure": student.structure,
                "teacher": str(teacher_file),
                "micro_batch": micro_batch,
                "checkpoint_every_s": 0.0,
            }
        )

    return make


@pytest.fixture
def game():
    """An adversarial term that is played at once."""
    gate = GateConfig(
        chance_margin=0.0, min_plays=1, win_gap=1e6, smoothing=0.0, max_worsening=100.0
    )
    return StructureConfig(
        kind="per_sample",
        fakes="onestep",
        start_kimg=0.0,
        every=2,
        width=8,
        k=3,
        statistics_images=32,
        gate=gate,
    )
