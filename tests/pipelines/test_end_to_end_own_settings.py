"""`dvc repro` in temporary clones with settings of their own: a game for an adapter, own images."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_game_for_the_deployed_sampler_goes_through(tmp_path, dvc_cache):
    """The adapter is trained, averaged, reconstructed, and used by the sampler that asks for it."""
    few = {"solver": "ddim", "grid": "karras", "steps": 3}
    work = Clone(
        tmp_path / "clone",
        dvc_cache,
        cluster={"num_workers": 0},
        tracking={"enabled": False},
        model={"adapter_rank": 2},
        ema={"lengths": [0.1]},
        evaluation={"num_images": 32},
        structure={
            "fakes": "deployed",
            "sampler": few,
            "gradient_steps": 2,
            "adapter_lr": 0.01,
            "batch_size": 16,  # a gate that opens on the first accuracy above one half
            "gate": {"chance_margin": 0.0, "min_plays": 1, "smoothing": 0.0},
        },
        samplers=["off", "on"],
        sampling={"off": few, "on": {**few, "adapter": True}},
    )
    work.run("dvc", "repro")
    tensors = load_file(work.folder / "outputs/ema/0.1.safetensors")
    up = [tensor for name, tensor in tensors.items() if name.endswith(".adapters.game.up")]
    assert up and any(tensor.abs().max() > 0 for tensor in up)
    off, on = (
        json.loads((work.folder / f"outputs/evaluate/0.1-{name}/metrics.json").read_text())
        for name in ("off", "on")
    )
    assert off["metrics"]["fd"]["value"] != on["metrics"]["fd"]["value"]
    assert off["metrics"]["fd"]["floor"] == on["metrics"]["fd"]["floor"]
    # What params name no more makes nothing dirty, and git is not offered it.
    work.edit("samplers", ["off"])
    said = work.run("dvc", "repro")
    assert "0.1-on any more: moved to outputs/unused/0.1-on" in said
    assert "Data and pipelines are up to date" in work.run("dvc", "status")
    work.commit("one sampler")
    assert work.run("git", "ls-files", "outputs") == ""
    assert (work.folder / "outputs/unused/0.1-on/metrics.json").is_file()


def test_a_folder_of_mixed_modes_goes_through(tmp_path, dvc_cache):
    """RGB, RGBA, LA, P, grey and a truncated file at 32x32, editing only the dataset section."""
    images = tmp_path / "images"
    for index in range(66):
        generator = np.random.default_rng(index)
        pixels = np.kron(
            generator.integers(0, 255, (6, 5, 4), np.uint8), np.ones((8, 8, 1), np.uint8)
        )
        mode = ("RGB", "RGBA", "LA", "P", "L", "RGB")[index % 6]
        folder = images / ("cats", "dogs")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels, "RGBA").convert(mode).save(folder / f"{index:03d}.png")
    whole = (images / "cats" / "000.png").read_bytes()
    (images / "dogs" / "cut.png").write_bytes(whole[: len(whole) // 2])
    work = Clone(
        tmp_path / "clone",
        dvc_cache,
        cluster={"num_workers": 0},
        tracking={"enabled": False},
        dataset={
            "source": "image_folder",
            "path": str(images),
            "resolution": 32,
            "channels": 3,
            "max_bad_fraction": 0.05,
        },
        ema={"lengths": [0.1]},
        evaluation={"num_images": 16},
        model={"class_conditional": False},
    )
    work.run("dvc", "repro")
    data = json.loads((work.folder / "outputs/dataset/dataset.json").read_text())
    assert data["num_images"] == 66 and data["label_names"] == ["cats", "dogs"]
    assert [Path(s["file"]).name for s in data["skipped"]] == ["cut.png"]
    metrics = json.loads((work.folder / "outputs/evaluate/0.1-heun3/metrics.json").read_text())
    assert "EffNet" in metrics["metric_name"]
    assert np.isfinite(metrics["metrics"]["kid"]["value"])
    # There is a classifier, but this denoiser was asked for no class.
    reference = json.loads((work.folder / "outputs/reference/reference.json").read_text())
    assert reference["classifier"] is not None
    assert "conditional_accuracy" not in metrics["metrics"]
