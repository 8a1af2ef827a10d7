"""The dual encoder: its loss, its training on captioned squares, and its guidance."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.analytic import GaussianDenoiser
from models.codecs import PixelCodec
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.dual_encoder import DualEncoder, load_dual_encoder
from models.text_encoders.configs import WordsConfig
from models.weights import WeightsError, load_description
from pipelines.sampling_command.sampler import classifier_note
from pipelines.text import dual_encoder as command
from sampling.config import SamplerConfig
from sampling.from_weights import make_guides
from sampling.guidance.gradient import CaptionScore, Gradient
from sampling.request import GenerationRequest


def test_the_loss_is_infonce_in_both_directions_with_shared_captions():
    torch.manual_seed(0)
    network = DualEncoder((1, 4, 4), ["a", "b", "c"], WordsConfig(width=8))
    x, labels = torch.randn(4, 1, 4, 4), torch.tensor([0, 1, 0, 2])
    f, g = network.images(x), network.texts(labels)
    logits = (f @ g.T / 0.07).double()
    log_rows = logits - logits.logsumexp(1, keepdim=True)
    log_columns = logits - logits.logsumexp(0, keepdim=True)
    shared = {0: (0, 2), 1: (1,), 2: (0, 2), 3: (3,)}
    pairs = [(i, j, len(own)) for i, own in shared.items() for j in own]
    terms = [-(log_rows[i, j] + log_columns[j, i]).item() / count for i, j, count in pairs]
    assert network.loss(x, labels).item() == pytest.approx(sum(terms) / 8, rel=1e-4)
    torch.testing.assert_close(network.score(x, labels), logits.diagonal().float())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights that the command trained on dark and bright squares."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "set").mkdir()
    for number in range(48):
        pixels = np.full((4, 4), (20, 200)[number % 2] + number, np.uint8)
        Image.fromarray(pixels).save(folder / "set" / f"{number}.png")
        (folder / "set" / f"{number}.txt").write_text(("Dark square", "Bright square")[number % 2])
    settings = {"source": "image_folder", "path": str(folder / "set"), "resolution": 4}
    settings |= {"channels": 1, "captions": {"kind": "txt"}}
    prepare_dataset(DatasetConfig.model_validate(settings), folder / "outputs" / "dataset")
    (folder / "params.yaml").write_text("model: {text: {kind: words, width: 8}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["dual_encoder", "--kimg", "3"])
        command.main()
    return folder / "outputs" / "dual_encoder.safetensors"


def test_it_finds_the_captions_of_held_out_images(trained):
    about = load_description(trained)
    assert about["training"]["held_out_accuracy"] > 0.9  # by chance 0.5
    network = load_dual_encoder(trained)
    grey = torch.linspace(-0.8, 0.8, 5)[:, None, None, None].expand(5, 1, 4, 4)
    network.ask(["a bright thing", "dark"])
    bright, dark = (network.score(grey, torch.full((5,), label)) for label in (0, 1))
    assert bright[-1] > dark[-1] and bright[0] < dark[0]
    with pytest.raises(ValueError, match="no word of it"):
        network.ask(["purple"])


def test_pictures_of_another_size_than_its_own_are_refused(trained):
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 2, config, label_names=("Dark square", "Bright square"))
    request = GenerationRequest(
        sampler=SamplerConfig(guidance=({"kind": "gradient"},)),
        seed=0,
        indices=[0],
        labels=np.zeros(1, np.int64),
        classifier=str(trained),
    )
    with pytest.raises(ValueError, match=r"pictures \[1, 4, 4\], and these are \[1, 8, 8\]"):
        make_guides(denoiser, request)


def test_its_guidance_pushes_towards_the_caption(trained):
    denoiser, network = GaussianDenoiser((1, 4, 4), 0.0, 0.5), load_dual_encoder(trained)
    score = CaptionScore(denoiser, network, PixelCodec())
    x, sigma = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.ones(6)
    names = list(network.label_names)
    bright = torch.full((6,), names.index("Bright square"))
    plain, guided = denoiser(x, sigma), Gradient(denoiser, score, 0.02)(x, sigma, bright)
    assert (network.score(guided, bright) > network.score(plain, bright)).all()
    away = Gradient(denoiser, score, 0.02)(x, sigma, torch.full((6,), names.index("Dark square")))
    assert (guided - away).mean() > 0
    with pytest.raises(ValueError, match="a caption for every image"):
        score(x, sigma, torch.full((6,), -1))


def request(file):
    sampler = SamplerConfig.model_validate({"guidance": ({"kind": "gradient"},)})
    return GenerationRequest(
        sampler=sampler,
        seed=0,
        indices=[0],
        labels=np.zeros(1, np.int64),
        prompts=("bright",),
        classifier=str(file),
    )


def test_it_guides_prompts_and_a_classifier_does_not(trained, tmp_path):
    assert "no judge" in classifier_note(request(trained), 1)
    other = as_classifier(trained, tmp_path)
    with pytest.raises(WeightsError, match="holds no dual encoder"):
        load_dual_encoder(other)
    with pytest.raises(ValueError, match="knows classes and no words"):
        classifier_note(request(other), 1)


def as_classifier(trained, folder):
    """The same weights under the name of another kind."""
    file = folder / "a.safetensors"
    file.write_bytes(trained.read_bytes())
    about = json.loads(trained.with_suffix(".json").read_text()) | {"kind": "classifier"}
    del about["description_sha256"]
    file.with_suffix(".json").write_text(json.dumps(about | {"format": 2}))
    return file
