"""What a label id means: one-hot rows for classes, and room for other tables."""

import pytest
import torch
from torch import nn

from models.backbones.unet import UNet
from models.conditions import ClassConditions, Condition, make_conditions
from models.config import ModelConfig
from models.denoiser import Denoiser

CPU, FLOAT = torch.device("cpu"), torch.float32
SMALL = ModelConfig(channels=16, blocks=1, channels_per_head=16)
X, SIGMA = torch.randn(4, 1, 8, 8), torch.tensor([0.1, 0.5, 2.0, 9.0])


class TableConditions(nn.Module):
    """A toy of conditions by text: a label is a row of a table of vectors."""

    def __init__(self, pooled: torch.Tensor):
        super().__init__()
        self.register_buffer("pooled", pooled, persistent=False)
        self.num_classes, self.width = pooled.shape

    def embed(self, labels, batch, device, dtype):
        if labels is None:
            return Condition(torch.zeros(batch, self.width, device=device, dtype=dtype))
        return Condition(self.pooled.to(dtype)[labels.clamp_min(0)] * (labels >= 0)[:, None])


def make(config=SMALL, classes=3):
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), classes, config)
    with torch.no_grad():  # gains are 0 at first, which would hide labels and all else
        for name, parameter in denoiser.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
    return denoiser.eval()


def test_a_class_is_a_row_of_unit_root_mean_square_and_nothing_is_zeros():
    vector = ClassConditions(4).embed(torch.tensor([2, -1, 0]), 3, CPU, FLOAT).vector
    expected = torch.tensor([[0, 0, 2.0, 0], [0, 0, 0, 0], [2.0, 0, 0, 0]])
    assert torch.equal(vector, expected)


def test_no_labels_stand_for_minus_one_in_all_rows():
    conditions = ClassConditions(4)
    none = conditions.embed(None, 2, CPU, torch.float64).vector
    minus_one = conditions.embed(torch.tensor([-1, -1]), 2, CPU, torch.float64).vector
    assert none.dtype == torch.float64 and torch.equal(none, minus_one)


def test_an_unconditional_denoiser_has_no_condition_whatever_the_labels():
    conditions = make_conditions(SMALL.model_copy(update={"class_conditional": False}), 3)
    assert (conditions.num_classes, conditions.width) == (0, 0)
    assert conditions.embed(torch.tensor([0, 2]), 2, CPU, FLOAT) is None
    assert make_conditions(SMALL, 3).num_classes == 3


def test_the_labels_mean_what_the_denoisers_conditions_say():
    denoiser, labels = make(), torch.tensor([0, 2, -1, 1])
    expected = denoiser(X, SIGMA, labels)
    denoiser.conditions = TableConditions(3**0.5 * torch.eye(3))  # the classes as a table
    assert torch.equal(denoiser(X, SIGMA, labels), expected)
    denoiser.conditions = TableConditions(3**0.5 * torch.eye(3)[[1, 2, 0]])
    assert torch.equal(denoiser(X, SIGMA, torch.tensor([2, 1, -1, 0])), expected)
    assert not torch.equal(denoiser(X, SIGMA, labels), expected)


def test_more_labels_than_the_vectors_are_wide():
    denoiser = make()
    torch.manual_seed(0)
    denoiser.conditions = TableConditions(torch.randn(7, 5))
    denoiser.unet = UNet((1, 8, 8), denoiser.conditions.width, SMALL)
    with torch.no_grad():
        for name, parameter in denoiser.unet.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
    assert denoiser.num_classes == 7
    a, b, none = (denoiser(X, SIGMA, torch.full((4,), label)) for label in (5, 6, -1))
    assert (a - b).abs().max() > 1e-3 and (a - none).abs().max() > 1e-3
    assert torch.equal(denoiser(X, SIGMA), none)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_condition_has_the_networks_precision(classes):
    denoiser = make(classes=classes).double()
    labels = torch.tensor([0, 1, 2, -1]) if classes else None
    assert denoiser(X.double(), SIGMA.double(), labels).dtype == torch.float64
