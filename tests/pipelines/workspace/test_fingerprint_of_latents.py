"""What decides the identity of latents."""

import torch

from models.autoencoder import save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from pipelines.params import check_params
from pipelines.workspace import fingerprint
from pipelines.workspace.fingerprint import pipeline_tag, stage_fingerprint
from pipelines.workspace.paths import AUTOENCODER


def test_latents_are_known_by_the_weights_that_made_them(workspace, write_data_set):
    """The same params with another seed train another autoencoder of kind kl."""
    params = check_params({"autoencoder": {"kind": "pca", "factor": 2}})
    write_data_set(workspace, params)
    marks = set()
    for value in (1.0, 2.0):
        network = PCAAutoencoder(1, 4, 2)
        network.patch_mean.copy_(torch.full_like(network.patch_mean, value))
        save_autoencoder(AUTOENCODER / "autoencoder.safetensors", network)
        marks.add(stage_fingerprint("encode", params))
    assert len(marks) == 2


def test_an_encoder_of_captions_is_part_of_the_pipelines_tag(
    workspace, write_data_set, monkeypatch
):
    """Two encoders at one path are two results, so they share no parent run."""
    params = check_params({"model": {"text": {"kind": "words"}}})
    write_data_set(workspace, params)
    tags = set()
    for sha256 in ("1" * 64, "2" * 64):
        monkeypatch.setattr(fingerprint, "encoder_hash", lambda params, mark=sha256: mark)
        tags.add(pipeline_tag(params))
    assert len(tags) == 2
