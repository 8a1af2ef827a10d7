"""The script for GPUs, on a processor: what it says without one, and what it measures."""

import time

import pytest
import torch

from benchmarks import gpu, run
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row, machine
from models.config import ModelConfig

TINY = ModelConfig(
    channels=8,
    channel_mult=(1,),
    blocks=1,
    attention_resolutions=(),
    structural_blocks=(),
    class_conditional=False,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(gpu, "SECONDS", 0.05)
    monkeypatch.setattr(gpu, "PRODUCT", {"cpu": 64})


def test_one_line_where_there_is_no_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    gpu.main()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith("there is no CUDA GPU here")


def test_images_a_second_and_utilisation(monkeypatch):
    monkeypatch.setattr(gpu, "product_flops", lambda place: 1e6)
    row = gpu.measured("x", lambda: time.sleep(0.01), Place(), 4, 500)
    assert 10 < row.ours < 400 and row.unit == "images/s"
    told = int(row.note.split("; ")[1].partition("%")[0])
    assert told == round(100 * 500 * row.ours / 1e6)


def test_each_way_has_one_thing_more(monkeypatch):
    asked = [[p.bf16, p.channels_last, p.compiled] for p in gpu.places("cpu").values()]
    assert [sum(one) for one in asked] == [0, 1, 2, 3]
    monkeypatch.setattr(gpu, "SHAPE", (3, 8, 8))
    for name in ("fp32", "bf16, channels_last"):
        step, forward = gpu.speeds(name, gpu.places("cpu")[name], TINY, 2)
        assert step.what == f"training step, {name}" and 0 < step.ours < forward.ours


def test_a_part_that_fails_leaves_the_others(monkeypatch, tmp_path, capsys):
    def broken():
        yield Row("lost", 1.0)
        raise RuntimeError("CUDA out of memory\nand more")

    assert [row.note for row in gpu.guarded("step", broken)] == ["failed: CUDA out of memory"]
    kept = tmp_path / "results.json"
    monkeypatch.setattr(run, "RESULTS", kept)
    monkeypatch.setattr(gpu, "speeds", lambda name, *_: iter([Row(name, 5.0, unit="images/s")]))
    monkeypatch.setattr(gpu, "ratios", lambda *_: iter([("step", gpu.guarded("step", broken))]))
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu", "--small"])
    gpu.main()
    assert "failed: CUDA" in capsys.readouterr().out
    assert kept.read_text().count('"unit": "images/s"') == len(gpu.places("cpu"))
    assert '"gpu: a processor"' in kept.read_text()


def test_tables_tell_units_and_small_ratios(capsys):
    rows = [
        Row("memory", 31.4, "prdc", 400.0, 0.0785, (0.07, 0.09), 0.2, unit="MB"),
        Row("power", 1.987, aim=1.1, unit=""),
        Row("time", 0.012),
    ]
    from rich.console import Console

    Console(width=200).print(run.table_of("any", rows, machine()))
    said = capsys.readouterr().out
    for part in ("31.40 MB", "400.00 MB prdc", "0.079", "0.07 to 0.09", "1.99", "12 ms"):
        assert part in said
    assert said.count("over the aim") == 1


def test_every_benchmark_is_a_module_with_rows():
    from importlib.util import find_spec
    from pathlib import Path

    for name in run.BENCHMARKS:
        spec = find_spec(f"benchmarks.{name}")
        assert spec is not None and spec.origin is not None, name
        assert "def rows() -> Iterator[Row]:" in Path(spec.origin).read_text(), name
