"""The table of what low-rank students keep: its numbers against sums by hand."""

import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from studies.distil.memory import main, numbers


def make():
    torch.manual_seed(0)
    config = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    return Denoiser((1, 8, 8), 3, config).requires_grad_(False)


def test_whole_copies_and_adapters_are_counted():
    teacher = make()
    every = sum(p.numel() for p in teacher.parameters())
    apart = sum(p.numel() for n, p in teacher.named_parameters() if n.startswith("uncertainty"))
    student = every - apart
    assert numbers(teacher, 0) == (student, 3 * every + 3 * (student + every) + 2 * every)
    shapes = {n: t.flatten(1).shape for n, t in teacher.named_parameters() if n.endswith("weight")}
    ranked = {n: min(2, *s) * sum(s) for n, s in shapes.items()}
    critic = sum(ranked.values())
    student = critic - ranked["uncertainty.weight"]
    assert numbers(teacher, 2) == (student, every + 4 * (student + critic) + 2 * student)


def test_the_command_prints_a_row_for_each_rank(tmp_path, capsys):
    teacher = make()
    save_weights(tmp_path / "t.safetensors", teacher.state_dict(), describe(teacher))
    main([str(tmp_path / "t.safetensors"), "--ranks", "0,2"])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 2"]
    assert f"| {numbers(teacher, 2)[1]:,} |" in rows[1]
