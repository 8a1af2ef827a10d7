import pytest
import torch

from models.layers.slot_dropout import SlotDropout, dropout_keys

X = torch.ones(6, 8, 16, 16)
KEYS = torch.arange(6) * 1000


@pytest.fixture
def network():
    return torch.nn.Sequential(SlotDropout(0.3), SlotDropout(0.3)).train()


def masks(layer, keys, x=X):
    with dropout_keys(layer, keys):
        return layer(x)


def test_keeps_the_share_and_the_mean(network):
    out = masks(network[0], KEYS)
    kept = (out != 0).float()
    assert kept.mean() == pytest.approx(0.7, abs=0.01)
    assert out.max() == pytest.approx(1 / 0.7)
    assert kept.flatten(2).mean(2).std() < 0.05  # no image and no channel is spared


def test_an_images_mask_is_its_own_however_the_batch_is_split(network):
    whole = masks(network, KEYS)
    order = torch.tensor([4, 1, 5])
    torch.testing.assert_close(masks(network, KEYS[order], X[:3]), whole[order], rtol=0, atol=0)


def test_images_layers_and_neighbouring_keys_differ(network):
    first, second = (masks(layer, KEYS) != 0 for layer in network)
    assert torch.equal(first, second)  # alone, each layer is the first of its network
    masks_of = []
    with dropout_keys(network, KEYS):
        masks_of = [layer(X) != 0 for layer in network]
    agree = (masks_of[0] == masks_of[1]).float().mean()
    assert agree == pytest.approx(0.7**2 + 0.3**2, abs=0.02)  # as if drawn independently
    near = masks(network[0], torch.arange(6)) != 0
    for a in range(6):
        for b in range(a):
            same = (near[a] == near[b]).float().mean()
            assert same == pytest.approx(0.58, abs=0.05), (a, b)


def test_is_nothing_in_evaluation_and_torchs_own_without_keys(network):
    assert torch.equal(network.eval()(X), X)
    network.train()
    masks(network, KEYS)
    torch.manual_seed(0)
    first = network(X)
    assert not torch.equal(first, network(X))
    torch.manual_seed(0)
    assert torch.equal(first, network(X))


def test_gradient_flows_where_values_are_kept(network):
    x = X.clone().requires_grad_()
    out = masks(network[0], KEYS, x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, (out != 0) / 0.7)
