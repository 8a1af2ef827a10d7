"""diffusers loads an exported folder and draws the images that this project draws."""

import importlib.util
import json
import runpy
import sys
import types

import numpy as np
import pytest
import torch

import sadm
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from models.weights_folder import DENOISER
from pipelines.sharing.diffusers_files import diffusers_files
from sampling.config import SamplerConfig

SAMPLER = SamplerConfig(solver="dpmpp_2m", steps=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported folder, but for its card and picture."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    config = ModelConfig(channels=8, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((3, 8, 8), 2, config, label_names=["cat", "dog"])
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    save_weights(folder / DENOISER, denoiser.state_dict(), describe(denoiser))
    for name, text in diffusers_files(SAMPLER).items():
        (folder / name).write_text(text)
    return folder


def expected(folder, count=6, **settings):
    return sadm.generate(sadm.load_denoiser(folder), count, sampler=SAMPLER, **settings)


def check_images(pipe, folder):
    """The pipeline's images are bit for bit those of `sadm.generate`, in each form."""
    drawn = pipe(6, class_labels=["dog", 0], seed=5).images
    wanted = expected(folder, labels=[1, 0], seed=5)
    assert wanted.std() > 20
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in drawn]), wanted)
    (floats,) = pipe(6, output_type="np", return_dict=False)
    np.testing.assert_array_equal((floats * 255).round().astype(np.uint8), expected(folder))
    longer = SAMPLER.model_copy(update={"steps": 5})
    other = pipe(2, num_inference_steps=5).images
    wanted = sadm.generate(sadm.load_denoiser(folder), 2, sampler=longer)
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in other]), wanted)
    for words, told in (
        ({"class_labels": ["dgo"]}, "unknown class 'dgo': did you mean 'dog'"),
        ({"class_labels": [2]}, r"labels \[2\]: this denoiser knows 0 to 1"),
        ({"output_type": "latent"}, "give 'pil' or 'np'"),
        ({"sampler": {"solver": "unpic"}}, "did you mean 'unipc'"),
    ):
        with pytest.raises(ValueError, match=told):
            pipe(2, **words)


def test_the_real_diffusers_draws_the_same_images(folder, monkeypatch, tmp_path):
    diffusers = pytest.importorskip("diffusers", reason="diffusers is an optional package")
    from diffusers.utils import dynamic_modules_utils

    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    load = diffusers.DiffusionPipeline.from_pretrained
    pipe = load(folder, trust_remote_code=True)
    pipe.set_progress_bar_config(disable=True)
    check_images(pipe.to("cpu"), folder)
    half = load(folder, trust_remote_code=True, torch_dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16 and pipe.dtype == torch.float32
    with pytest.raises(NotImplementedError, match="copy the folder"):
        pipe.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="trust_remote_code"):
        load(folder)


class StandIn:
    """What the pipeline uses of diffusers.DiffusionPipeline."""

    def register_modules(self, **modules):
        vars(self).update(modules)

    def register_to_config(self, **config):
        self.config = types.SimpleNamespace(**config)

    def progress_bar(self, total):
        class Bar:
            n = 0

            def __enter__(self):
                return self

            def __exit__(self, *failure):
                assert self.n == total or failure[0]

            def update(self, more):
                self.n += more

        return Bar()


def test_without_diffusers_the_folders_modules_do_the_same(folder, monkeypatch):
    """The folder's own modules, loaded as diffusers does, on a stand-in for its base class."""
    stand_in = types.SimpleNamespace(
        DiffusionPipeline=StandIn, ImagePipelineOutput=types.SimpleNamespace
    )
    monkeypatch.setitem(sys.modules, "diffusers", stand_in)
    spec = importlib.util.find_spec("sadm.diffusers_pipeline")
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    monkeypatch.setitem(sys.modules, spec.name, fresh)
    index = json.loads((folder / "model_index.json").read_text())
    parts = {}
    for path, (module, name) in (
        (folder, index["_class_name"]),
        (folder / "denoiser", index["denoiser"]),
    ):
        parts[module] = runpy.run_path(str(path / f"{module}.py"))[name]
    denoiser = parts["loader"].from_pretrained(folder / "denoiser", torch_dtype=torch.float32)
    check_images(parts["pipeline"](denoiser=denoiser, sampler=index["sampler"]), folder)


@pytest.mark.parametrize("name", ["pipeline.py", "denoiser/loader.py"])
def test_without_this_project_the_folder_says_what_to_install(folder, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "sadm.diffusers_pipeline", None)
    with pytest.raises(ImportError, match=r"need the project that trained them: .*pip install -e"):
        runpy.run_path(str(folder / name))
