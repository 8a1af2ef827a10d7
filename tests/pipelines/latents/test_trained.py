"""The stage autoencoder with kinds that are trained or copied: resume, publish, refuse."""

import json
import sys
from pathlib import Path

import pytest
import torch

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.autoencoder import autoencoder_hash, load_autoencoder
from models.ema_reconstruction import snapshot_name
from pipelines.console.training_monitor import Monitor
from pipelines.latents import autoencoder
from pipelines.params import ParamsError, check_params, load_params
from pipelines.settings.dotted_keys import with_values
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from training.events import CheckpointSaved

ROOT = Path(__file__).resolve().parents[3]
RAW = load_params(ROOT / "presets" / "digits.yaml").model_dump(mode="json")
KL = {
    "kind": "kl",
    "factor": 2,
    "width": 8,
    "total_kimg": 0.256,
    "kl_start_kimg": 0.1,
    "batch_size": 32,
}
OUT = Path("outputs/autoencoder")
QUIET = {"cluster.num_workers": 0, "cluster.checkpoint_every_s": 0, "tracking.enabled": False}


def params_with(section, **changes):
    return check_params(with_values(RAW | {"autoencoder": section}, QUIET | changes))


@pytest.fixture
def stage(workspace, monkeypatch):
    """run(section, *options, **changes) runs the stage with this section `autoencoder`."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    prepare_dataset(DatasetConfig(), Path("outputs/dataset"))

    def run(section, *options, **changes):
        monkeypatch.setattr(sys, "argv", ["stage", *options])
        params = params_with(section, **changes)
        monkeypatch.setattr(autoencoder, "load_params", lambda path: params)
        autoencoder.main()
        return params

    return run


def test_a_stopped_training_goes_on_and_a_finished_one_is_published_again(
    stage, monkeypatch, capsys
):
    call = Monitor.__call__

    def stop(self, event):
        call(self, event)
        if isinstance(event, CheckpointSaved) and event.nimg == 128:
            raise KeyboardInterrupt

    monkeypatch.setattr(Monitor, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        stage(KL)
    assert not (OUT / "autoencoder.safetensors").exists()
    monkeypatch.setattr(Monitor, "__call__", call)
    stage(KL)
    (folder,) = Path(".runs").glob("autoencoder-*[0-9a-f]")
    resumed, name = autoencoder_hash(OUT), snapshot_name(256, 0.05)
    captured = capsys.readouterr()
    assert "resumed at 0.1 of 0.3 kimg" in captured.out + captured.err
    average, loaded = load_autoencoder(folder / "snapshots" / name), load_autoencoder(OUT)
    for key, tensor in average.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[key])
    told = json.loads((OUT / "autoencoder.json").read_text())
    assert told["kind"] == "kl" and told["nimg"] == 256 and told["measured"]["held_out/psnr"] > 0
    assert {path.name for path in OUT.iterdir()} >= {"train.json", "curves.csv"}

    stage(KL)
    assert "is finished: publishing it again" in capsys.readouterr().out
    assert autoencoder_hash(OUT) == resumed
    stage(KL, "--fresh")  # from the beginning, without a stop
    assert "is finished" not in capsys.readouterr().out
    assert autoencoder_hash(OUT) == resumed


def test_an_autoencoder_of_diffusers_is_copied(stage, capsys):
    library = pytest.importorskip("diffusers", reason="diffusers is an optional package")
    blocks = {"encoder_block_out_channels": (8, 8), "num_encoder_blocks": (1, 1)}
    blocks |= {"decoder_block_out_channels": (8, 8), "num_decoder_blocks": (1, 1)}
    sizes = {"in_channels": 1, "out_channels": 1, "latent_channels": 2}
    section = {"kind": "diffusers", "path": "vae"}
    marks = set()
    for seed in range(2):
        torch.manual_seed(seed)
        library.AutoencoderTiny(**blocks, **sizes).save_pretrained("vae")
        params = stage(section)
        assert "AutoencoderTiny of vae" in capsys.readouterr().out
        assert load_autoencoder(OUT).latent_shape((1, 8, 8)) == (2, 4, 4)
        marks |= {stage_fingerprint("autoencoder", params), pipeline_tag(params)}
    assert len(marks) == 4  # other weights in the folder are another autoencoder
    told = json.loads(Path("vae/config.json").read_text())
    Path("vae/config.json").write_text(json.dumps(told | {"num_encoder_blocks": [1, 2]}))
    with pytest.raises(ParamsError, match=r"^autoencoder\.path: vae"):
        stage(section)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("model.text", {"kind": "static", "path": "gone"}, r"model\.text\.path: gone is neither"),
        ("train.init_from", "gone.safetensors", r"train\.init_from: gone\.safetensors does not"),
    ],
)
def test_what_would_stop_the_denoiser_is_told_before_an_autoencoder_is_trained(
    stage, key, value, told
):
    with pytest.raises(ValueError, match=told) as refused:
        stage(KL, **{key: value})
    assert "\n" not in str(refused.value) and not Path(".runs").exists()


@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        (KL | {"factor": 8}, {"dataset.resolution": 28}, r"autoencoder\.factor: 8 does not divide"),
        (KL | {"factor": 3}, {}, r"autoencoder\.factor"),
        (KL | {"total_kimg": 0.03, "kl_start_kimg": 0.0}, {}, r"total_kimg: 0\.03 makes 1 step"),
        (KL, {"cluster.num_workers": 3}, r"autoencoder\.batch_size: 32 is not a multiple of 3"),
        (KL, {"train.method": "autoencoder"}, r"train\.method: autoencoder trains no denoiser"),
        (KL | {"kl_start_kimg": 1.0}, {}, r"kl_start_kimg: the divergence would begin at 1 kimg"),
        ({"kind": "diffusers", "path": "gone"}, {}, r"autoencoder\.path: the folder gone does not"),
        ({"kind": "diffusers"}, {}, r"autoencoder\.path"),
    ],
)
def test_bad_settings_are_refused_in_one_line_before_anything_starts(section, changes, told):
    with pytest.raises(ParamsError, match=told) as refused:
        params_with(section, **changes)
    lines = [line for line in str(refused.value).splitlines() if "autoencoder" in line]
    assert lines and all(len(line) < 400 for line in lines)
