"""bf16 on a processor without bf16 units is told, and only there."""

import os
import subprocess
import sys

import pytest
import torch

from training.precision_speed import precision_note

CPU = torch.device("cpu")
SLOWER = "slower than fp32 on this processor: set train.precision to fp32"


@pytest.mark.parametrize(
    ("precision", "times", "told"),
    [
        ("fp32", 16.2, None),
        ("bf16", 0.7, None),
        ("bf16", 1.1, None),
        ("bf16", 16.2, f"bf16 is 16 times {SLOWER}"),
        ("bf16", 2.04, f"bf16 is 2.0 times {SLOWER}"),
    ],
)
def test_a_slow_bf16_is_told_with_the_mend(precision, times, told, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 9.0, 9.0))
    assert precision_note(precision, CPU, lambda: times) == told


def test_on_a_busy_machine_the_figure_is_called_rough(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (8.25, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert precision_note("bf16", CPU, lambda: 2.0) == (
        "bf16 is 2.0 times slower than fp32 on this processor (rough, since this machine "
        "is busy: load 8.2 on 2 processors): set train.precision to fp32"
    )


def test_a_gpu_is_asked_for_its_units(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert precision_note("bf16", gpu) is None
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert "this GPU has no bf16 units" in precision_note("bf16", gpu)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not torch.cpu._is_avx512_supported(),
    reason="needs a processor whose instructions can be switched off",
)
def test_a_processor_without_the_units_is_recognised():
    """oneDNN, told to leave them alone, computes as a processor without: 10 to 18 times slower."""
    code = "from training.precision_speed import bf16_slowdown; print(bf16_slowdown())"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > 3
