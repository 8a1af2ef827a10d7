"""Adapters of classes: they learn, belong to their class, and act where they are told."""

import pytest
import torch

from evaluation.denoising_classifier import classify, spread_levels
from models.adapter_file import load_adapter
from models.attribute_loss import likelihood_weight
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import adapter_names, add_adapters, split_adapters
from models.weights import load_description, tensors_hash
from training.few_shot.class_adapters import ClassAdapters, adapter_names_of, class_mark
from training.few_shot.fit import NAME, fit_adapter, levels
from training.few_shot.settings import FitSettings

NAMES = ["bar", "block", "frame"]
QUICK = FitSettings(rank=4, steps=40, batch=8, lr=0.01, sigma_range=(0.1, 3.0))
LEVELS = spread_levels(0.1, 3.0, 8)


def network(seed=0):
    torch.manual_seed(seed)
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 0, config).eval().requires_grad_(False)
    torch.nn.init.constant_(denoiser.unet.output_gain, 1.0)
    return denoiser


def pictures(count, seed):
    """Three shapes, each in its own place, with noise: (images, classes)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.full((3, count, 1, 8, 8), -0.6)
    images[0, ..., 3:5, 1:7] = 0.6
    images[1, ..., 2:6, 2:6] = 0.6
    images[2, ..., 0, :] = images[2, ..., 7, :] = 0.6
    images += 0.4 * torch.randn(images.shape, generator=generator)
    return images.flatten(0, 1), torch.arange(3).repeat_interleave(count)


@pytest.fixture(scope="module")
def learned():
    denoiser = network()
    shots, classes = pictures(4, 0)
    adapters = ClassAdapters(denoiser, NAMES, QUICK.sigma_range)
    for number in range(3):
        adapters.install(number, fit_adapter(denoiser, shots[classes == number], QUICK, seed=1))
    return denoiser, adapters


def right(errors, images, classes):
    found = classify(errors, 3, images, LEVELS, likelihood_weight)
    return float((found.classes == classes).float().mean())


def test_classes_are_told_apart_and_not_by_the_adapters_of_others(learned):
    _, adapters = learned
    images, classes = pictures(20, 7)
    assert right(adapters.errors, images, classes) > 0.9
    assert right(lambda c, *rest: adapters.errors((c + 1) % 3, *rest), images, classes) <= 1 / 3


def test_the_denoiser_stays_as_it_was(learned):
    denoiser, _ = learned
    assert tensors_hash(denoiser.state_dict()) == tensors_hash(network().state_dict())
    assert adapter_names(denoiser) == []


def test_an_update_of_zero_is_the_plain_denoiser_bit_for_bit():
    denoiser = network()
    fresh = network()
    add_adapters(fresh.unet, NAME, 4)
    zero = split_adapters(fresh.state_dict())[1][NAME]
    adapters = ClassAdapters(denoiser, NAMES, (0.01, 10))
    adapters.install(1, zero)
    x, sigma = torch.randn(5, 1, 8, 8), torch.tensor([0.02, 0.1, 1.0, 3.0, 9.0])
    assert torch.equal(adapters.denoise(1, x, sigma), denoiser(x, sigma))
    zero["unet.output.up"].fill_(0.1)
    adapters.install(1, zero)
    assert not torch.equal(adapters.denoise(1, x, sigma), denoiser(x, sigma))


def test_adapters_act_inside_their_levels_alone(learned):
    denoiser, adapters = learned
    x, sigma = torch.randn(4, 1, 8, 8), torch.tensor([0.05, 0.5, 2.9, 4.0])
    gap = (adapters.denoise(0, x, sigma) - denoiser(x, sigma)).abs().amax((1, 2, 3))
    assert gap[0] == gap[3] == 0 and gap[1] > 1e-3 and gap[2] > 1e-3


def test_the_same_arguments_give_the_same_adapter_and_steps_are_told():
    denoiser, told = network(), []
    images = pictures(2, 0)[0][:2]
    short = FitSettings(steps=3, flip=True, shift=1, sigma_range=(0.1, 3.0))
    first = fit_adapter(denoiser, images, short, progress=lambda done, of: told.append((done, of)))
    again = fit_adapter(denoiser, images, short)
    assert all(torch.equal(first[key], again[key]) for key in first) and told[-1] == (3, 3)
    other = fit_adapter(denoiser, images, short, seed=1)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    half = fit_adapter(denoiser, images, FitSettings(**short.plain() | {"scale": 0.5}))
    up = "unet.output.up"
    assert torch.equal(half[up], first[up] / 2) and first[up].abs().max() > 0
    with pytest.raises(ValueError, match="one image or more"):
        fit_adapter(denoiser, images[:0], short)


def test_prior_images_are_left_as_they_were():
    denoiser = network()
    shots, classes = pictures(4, 0)
    settings = QUICK.plain() | {"sigma_range": (0.1, 3.0)}
    noisy, sigma = shots[classes == 2] + 0.5, torch.full((4,), 0.5)

    def change(weight):
        adapters = ClassAdapters(denoiser, NAMES, (0.1, 3.0))
        own = FitSettings(**settings | {"prior_weight": weight})
        prior = shots[classes == 2]
        adapters.install(0, fit_adapter(denoiser, shots[classes == 0], own, prior=prior))
        return float((adapters.denoise(0, noisy, sigma) - denoiser(noisy, sigma)).square().mean())

    assert change(3.0) < change(0.0) / 2


def test_levels_are_even_in_their_logarithm():
    found = levels(FitSettings(sigma_range=(0.1, 10.0)), 0, range(4000)).log10()
    assert found.min() >= -1 and found.max() <= 1
    assert abs(float(found.mean())) < 0.03 and float(found.std()) == pytest.approx(0.577, abs=0.02)


def test_adapters_are_files_that_go_back_on(learned, tmp_path):
    denoiser, adapters = learned
    mark = class_mark(QUICK.plain(), images=torch.zeros(2))
    assert mark != class_mark(QUICK.plain(), images=torch.ones(2))
    path = adapters.save(2, tmp_path, {"mark": mark})
    assert path == tmp_path / "frame.safetensors"
    about = load_description(path)["training"]
    assert about["class"] == "frame" and about["sigma_range"] == [0.1, 3.0]
    empty = ClassAdapters(denoiser, NAMES, QUICK.sigma_range)
    assert not empty.load(2, tmp_path, "other") and not empty.load(1, tmp_path, mark)
    assert empty.load(2, tmp_path, mark) and empty.load(2, tmp_path, mark)
    x, sigma = torch.randn(3, 1, 8, 8), torch.full((3,), 0.7)
    assert torch.equal(empty.denoise(2, x, sigma), adapters.denoise(2, x, sigma))
    other = ClassAdapters(network(1), NAMES, QUICK.sigma_range)
    assert not other.load(2, tmp_path, mark)
    path.write_bytes(path.read_bytes()[:-9])
    assert not empty.load(2, tmp_path, mark)
    plain = network()
    adapters.save(0, tmp_path, {})
    assert load_adapter(plain, tmp_path / "bar.safetensors") == "class_bar"


def test_any_names_of_classes_name_adapters():
    names = ["T-shirt/top", "t shirt top", "3", "Ärmel", "§", "type"]
    found = adapter_names_of(names)
    assert found == [
        "class_T_shirt_top",
        "class_t_shirt_top_1",
        "class_3",
        "class_Ärmel",
        "class_4",
        "class_type",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma_range": (5.0, 0.05)}, "sigma_range 5,0.05 is empty"),
        ({"sigma_range": (0.0, 1.0)}, "sigma_range 0,1 is empty"),
        ({"rank": 0}, "rank 0: give 1 or more"),
        ({"shift": -1}, "shift -1: give 0 or more"),
        ({"lr": float("nan")}, "lr nan"),
    ],
)
def test_settings_that_fit_nothing_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FitSettings(**change)
