"""The bank of real images: which they are, that no play shows them, and what a checkpoint holds."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from foundation.workers import World
from training.structure.bank import RealBank
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))


def game_of(data, **settings):
    config = StructureConfig(
        **{
            "kind": "two_bank",
            "features": "pixels",
            "width": 8,
            "k": 3,
            "start_kimg": 0.0,
            "batch_size": 16,
            "bank_images": 64,
            "gate": GateConfig(min_plays=3, win_gap=100.0),
            **settings,
        }
    )
    torch.manual_seed(0)
    denoiser = toys.ConvDenoiser()
    game = StructureGame(config, denoiser, batch_size=16, world=World(), seed=0)
    game.open(0, denoiser, data)
    return game, denoiser


def test_the_choice_depends_on_seed_and_opening_alone():
    data, groups = toys.random_images(), np.arange(200) % 4
    banks = {}
    for seed, nimg in ((0, 0), (0, 0), (1, 0), (0, 5000)):
        bank = RealBank(64, seed)
        bank.choose(nimg, data, groups)
        assert len(set(bank.chosen.tolist())) == 64
        banks.setdefault((seed, nimg), []).append(bank.chosen)
    assert np.array_equal(*banks[0, 0])
    assert not np.array_equal(banks[0, 0][0], banks[1, 0][0])
    assert not np.array_equal(banks[0, 0][0], banks[0, 5000][0])


def test_every_group_keeps_half_of_its_images():
    groups = np.repeat([0, 1], [190, 10])
    bank = RealBank(10_000, 0)
    bank.choose(0, toys.random_images(), groups)
    assert len(bank.chosen) == 100 and np.bincount(groups[bank.chosen]).tolist() == [95, 5]


def test_no_play_shows_an_image_of_the_bank():
    data = toys.random_images()
    game, _ = game_of(data)
    shown = set()
    for number in range(30):
        shown |= set(game.draw(data, number * 16).shown.tolist())
    assert len(shown) > 100 and not shown & set(game.bank.chosen.tolist())


def test_copies_of_its_images_are_in_no_play_either():
    data = toys.random_images()
    stored = data.images.clone()
    stored[100:] = stored[:100]
    data = toys.ToyImages(stored, data.labels, 3)
    bank = RealBank(30, 0)
    bank.choose(0, data, data.labels)
    assert bank.left_out(data).sum() == 30
    data.has_copies, data.images = True, stored.numpy()
    left_out = bank.left_out(data)
    assert left_out.sum() > 40
    assert all(left_out[(row + 100) % 200] for row in bank.chosen)


def test_fakes_of_the_play_are_not_in_its_own_bank():
    data = toys.random_images()
    game, denoiser = game_of(data, opponent_steps=3, recent_plays=4)
    form, seen = game.opponent.form, []
    anchor, loss_d, loss_g = form.anchor, form.loss_d, form.loss_g

    def check(real, fake):
        reals, fakes = seen[-1]
        sets = [(real, reals), (fake, fakes)]
        for judged, bank in sets:
            if bank is not None:
                assert torch.cdist(judged, bank.features).min() > 1e-4
        if fakes is not None:
            assert len(reals) == len(fakes)

    form.anchor = lambda reals, fakes=None: (seen.append((reals, fakes)), anchor(reals, fakes))[1]
    form.loss_d = lambda real, fake, labels: (check(real, fake), loss_d(real, fake, labels))[1]
    form.loss_g = lambda real, fake, labels: (check(real, fake), loss_g(real, fake, labels))[1]
    for number in range(8):
        toys.play(game, denoiser, data, number)
    sizes = [0 if fakes is None else len(fakes) for _, fakes in seen]
    assert max(sizes) > 40 and game.gate.open_plays > 0


def test_a_checkpoint_holds_the_choice_and_not_the_features():
    data = toys.random_images()
    game, denoiser = game_of(data)
    toys.play(game, denoiser, data, 0)
    tensors, meta = game.state_dict()
    assert tensors["bank.chosen"].tolist() == game.bank.chosen.tolist()
    assert [name for name in tensors if name.startswith("bank.")] == ["bank.chosen"]
    again, _ = game_of(toys.random_images())
    again.load_state_dict(tensors, meta)
    again.draw(data, 16)
    assert torch.equal(again.bank.content.features, game.bank.content.features)


def test_a_new_opening_draws_another_bank():
    data = toys.random_images()
    game, denoiser = game_of(data)
    game.draw(data, 0)
    first = game.bank.chosen
    game.open(4096, denoiser, data)
    shown = game.draw(data, 4096).shown.tolist()
    assert set(first.tolist()) != set(game.bank.chosen.tolist())
    assert not set(shown) & set(game.bank.chosen.tolist())


def test_a_plane_without_rest_is_refused():
    with pytest.raises(ValueError, match=r"tangent_dims 31 .* use at most 30"):
        StructureConfig(kind="tangent", tangent_dims=31)


@pytest.mark.parametrize("fakes", ["onestep", "renoise"])
def test_no_fake_is_made_from_an_image_of_the_bank(fakes):
    data = toys.random_images()
    game, _ = game_of(data, fakes=fakes)
    game.draw(data, 0)
    inside = data.images[game.bank.chosen].flatten(1)
    for number in range(10):
        sources = game.draw(data, number * 16).sources.flatten(1)
        assert torch.cdist(sources, inside).min() > 0.1


def test_a_bank_too_small_for_its_form_is_refused():
    with pytest.raises(ValueError, match=r"the bank has 20 images .* looks at 32: use kind graph"):
        game_of(toys.random_images(40, classes=1), kind="tangent")


def test_copies_give_the_bank_one_image():
    data = toys.random_images()
    stored = data.images.clone()
    stored[:150] = stored[0]
    data = toys.ToyImages(stored, data.labels, 3)
    data.has_copies, data.images = True, stored.numpy()
    bank = RealBank(1000, 0)
    bank.choose(0, data, data.labels)
    assert sum(row < 150 for row in bank.chosen) <= 1 and len(bank.chosen) >= 20
