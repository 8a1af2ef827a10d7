"""What params name and is not there is a problem, with its mend; what is there is none."""

import json
import socket
from pathlib import Path
from zipfile import ZipFile

import pytest

from pipelines.checkup.places import problems, remarks
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
FOLDER = {"dataset.source": "image_folder", "dataset.path": "photos"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def params_with(changes):
    raw = with_values(read_yaml(ROOT / "presets" / "digits.yaml"), {"cluster.num_workers": 1})
    return check_params(with_values(raw, changes))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_default_has_no_problem():
    params = params_with({})
    assert list(problems(params)) == [] and list(remarks(params)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (FOLDER, "photos does not exist: correct the path"),
        ({"train.init_from": "base.safetensors"}, "train.init_from: base.safetensors does not"),
        (
            {
                "autoencoder.kind": "diffusers",
                "autoencoder.path": "vae",
                "autoencoder.latents": {"channels": 4, "factor": 2},
                "model.structural_blocks": [],
            },
            "autoencoder.path: the folder vae does not exist: save one there with diffusers'",
        ),
        (
            {"evaluation.extractor": "inception", "evaluation.inception_path": "nowhere"},
            "evaluation.inception_path: nowhere does not exist: download",
        ),
        ({"cluster.num_workers": 4096, "train.batch_size": 4096, "structure.batch_size": 4096},
         "set cluster.num_workers to"),
        (
            {"sampling.heun18.guidance": [{"kind": "autoguidance", "weights": "w.safetensors"}]},
            "sampling.heun18.guidance: w.safetensors does not exist",
        ),
    ],
)  # fmt: skip
def test_a_path_that_is_not_there_is_one_line_with_its_mend(changes, told):
    found = list(problems(params_with(changes)))
    assert len(found) == 1 and told in found[0] and "\n" not in found[0]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("README.md", "README.md is no .safetensors file: weights are a .safetensors file with"),
        ("w.safetensors", "w.json does not exist: weights are a .safetensors file with a .json"),
        ("damaged.safetensors", "damaged.safetensors is damaged, or its .json is of other weights"),
    ],
)
def test_files_that_are_no_weights_are_told_with_the_setting(tmp_path, file, told):
    import torch

    from models.weights import save_weights

    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "w.safetensors").write_bytes(b"12")
    save_weights(tmp_path / "damaged.safetensors", {"a": torch.zeros(2)}, {})
    (tmp_path / "damaged.safetensors").write_bytes(b"12")
    guided = {"sampling.heun18.guidance": [{"kind": "autoguidance", "weights": file}]}
    for key, changes in (
        ("train.init_from", {"train.init_from": file}),
        ("sampling.heun18.guidance", guided),
    ):
        (problem,) = problems(params_with(changes))
        assert problem.startswith(f"{key}: ") and told in problem and "\n" not in problem


def test_a_folder_of_nothing_and_a_file_that_is_no_zip(tmp_path):
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    assert "photos holds no files" in next(problems(params_with(FOLDER)))
    (tmp_path / "photos" / "cats" / "a.png").touch()
    assert list(problems(params_with(FOLDER))) == []
    (tmp_path / "photos.txt").touch()
    other = FOLDER | {"dataset.path": "photos.txt"}
    assert "neither a folder nor an intact zip" in next(problems(params_with(other)))
    with ZipFile(tmp_path / "photos.txt", "w") as archive:
        archive.writestr("a.png", b"")
    assert list(problems(params_with(other))) == []


def test_a_lost_folder_is_no_problem_once_its_images_are_prepared(tmp_path):
    (tmp_path / "outputs" / "dataset").mkdir(parents=True)
    manifest = tmp_path / "outputs" / "dataset" / "dataset.json"
    params = params_with(FOLDER)
    manifest.write_text(json.dumps(params.dataset.model_dump(mode="json")))
    assert list(problems(params)) == []
    assert "cannot be prepared again: dataset.path" in next(remarks(params))
    # images of another source lie there, or nobody knows of which
    for other in (json.dumps(params_with({}).dataset.model_dump(mode="json")), "{", "{}"):
        manifest.write_text(other)
        assert "photos does not exist" in next(problems(params))


def test_what_would_be_downloaded_is_said():
    params = params_with({"dataset.source": "torchvision", "dataset.name": "CIFAR10",
                          "dataset.path": "files", "dataset.resolution": 32})  # fmt: skip
    assert list(problems(params)) == []
    assert list(remarks(params)) == ["CIFAR10 is not in files: the stage prepare downloads it"]


def test_a_cluster_must_answer():
    port = free_port()
    params = params_with({"cluster.address": f"127.0.0.1:{port}"})
    assert f"127.0.0.1:{port}' does not answer" in next(problems(params))
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = params_with({"cluster.address": f"127.0.0.1:{server.getsockname()[1]}"})
        assert list(problems(here)) == []


def test_a_store_that_does_not_answer_stops_no_stage():
    params = params_with({"tracking.uri": f"http://127.0.0.1:{free_port()}"})
    assert list(problems(params)) == []
    assert "does not answer" in next(remarks(params))
