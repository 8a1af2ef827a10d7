"""Features of folders of images, beside clean-fid's of the same files."""

import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from evaluation.config import EvaluationConfig
from evaluation.folders.features import folder_features
from evaluation.folders.judge_features import judge_features
from models.extractors import imagenet
from models.extractors.classifier import ClassifierExtractor
from models.extractors.load import load_extractor
from models.weights import file_hash


class RandomLayers(nn.Module):
    """Fixed random filters, pooled: 2,048 features of an image at 299 px."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.filters = nn.Parameter(torch.randn(2048, 3, 5, 5, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(x, [9, 9])
        return torch.nn.functional.conv2d(small, self.filters).relu().mean([2, 3])


class RandomInception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = RandomLayers()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture
def inception(tmp_path, monkeypatch):
    """A scripted random network in the place of Inception."""
    file = tmp_path / "network" / imagenet.INCEPTION_FILE
    file.parent.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(RandomInception()).save(str(file))
    monkeypatch.setattr(imagenet, "INCEPTION_SHA256", file_hash(file))
    return load_extractor("inception", inception_path=file)


def write(folder, count, brightness, seed):
    """PNGs of several sizes in colour, smooth enough that resizing matters."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for index in range(count):
        height, width = rng.integers(20, 60, 2)
        coarse = rng.integers(0, 180, (4, 5, 3)).astype(np.uint8) + brightness
        picture = Image.fromarray(coarse.astype(np.uint8)).resize((int(width), int(height)))
        picture.save(folder / f"{index:02d}.png")
    return folder


def test_features_and_distance_are_those_of_clean_fid(inception, tmp_path):
    from cleanfid import fid

    real, generated = write(tmp_path / "a", 40, 0, 0), write(tmp_path / "b", 30, 40, 1)
    theirs, ours = [], []
    for folder in (real, generated):
        theirs.append(
            fid.get_folder_features(
                str(folder),
                model=inception.network,
                num_workers=0,
                batch_size=4,
                device=torch.device("cpu"),
                mode="clean",
                verbose=False,
            )
        )
        ours.append(folder_features(folder, inception).features)
        np.testing.assert_allclose(ours[-1], theirs[-1], rtol=1e-4, atol=1e-5)
    # Of the first 24 features only: clean-fid's matrix root of all would take half a minute.
    real_part, made_part = (part[:, :24].astype(np.float64) for part in theirs)
    statistics = [(part.mean(0), np.cov(part, rowvar=False)) for part in (real_part, made_part)]
    expected = fid.frechet_distance(*statistics[0], *statistics[1])
    config = EvaluationConfig(floor_draws=2, kid_subsets=2, k=2)
    found = judge_features(ours[1][:, :24], ours[0][:, :24], config, seed=0)
    assert found["metrics"]["fd_full"]["value"] == pytest.approx(expected, rel=1e-4)


def test_order_batches_zip_and_unreadable_files(inception, tmp_path, monkeypatch):
    folder = write(tmp_path / "a", 7, 0, 0)
    whole = folder_features(folder, inception)
    assert whole.names == [f"{i:02d}.png" for i in range(7)] and whole.skipped == []
    monkeypatch.setattr(type(inception), "max_batch", 3)
    told = []
    (folder / "03b.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not counted")
    again = folder_features(folder, inception, lambda *step: told.append(step))
    np.testing.assert_allclose(again.features, whole.features, rtol=1e-5)
    assert again.skipped == [{"file": "03b.png", "reason": "not an image that Pillow can read"}]
    assert told == [(i, 8) for i in range(1, 9)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"a/{path.name}")
    zipped = folder_features(tmp_path / "a.zip", inception)
    np.testing.assert_array_equal(zipped.features, again.features)


def test_a_classifier_takes_its_own_size_in_its_own_colours(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    for index, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{index}.png")
    classifier = ClassifierExtractor((1, 8, 8), 3)
    found = folder_features(folder, classifier).features
    np.testing.assert_allclose(found, classifier.features(pixels[..., None]), rtol=1e-5, atol=1e-6)
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "3.png")
    with pytest.raises(ValueError, match="made for images \\(1, 8, 8\\)"):
        folder_features(folder, classifier)


def test_folders_without_images_are_an_error(tmp_path):
    classifier = ClassifierExtractor((1, 8, 8), 3)
    with pytest.raises(ValueError, match=f"^{tmp_path} holds no images"):
        folder_features(tmp_path, classifier)
    (tmp_path / "cut.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of its 1 images can be read.*cut\.png: empty file"):
        folder_features(tmp_path, classifier)
