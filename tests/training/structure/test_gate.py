import json

import pytest

from training.structure.config import GateConfig
from training.structure.gate import CHANCE, TOO_FEW, WARMING_UP, WINS, WORSENED, Gate


def gate(**settings) -> Gate:
    made = Gate(GateConfig(**{"min_plays": 1, "smoothing": 0.5, **settings}))
    made.observe_held_out([1.0, 2.0], [1.0, 2.0])
    made.start()
    return made


def winning(made: Gate, plays=6) -> Gate:
    for play in range(plays):
        made.observe_play(0.8 + 0.01 * (play % 2), 1.0)
    return made


def test_warming_up_until_started():
    made = Gate(GateConfig())
    assert not made.open and made.reason == WARMING_UP


def test_too_few_plays_are_no_chance():
    made = gate(min_plays=3)
    assert made.reason == TOO_FEW
    made.observe_play(0.9, 1.0)
    made.observe_play(0.5, 0.0)  # an accuracy of few plays is not judged, be it high or low
    assert made.reason == TOO_FEW and made.explanation == "too few plays: 2 of 3"
    made.observe_play(0.5, 0.0)
    assert made.reason == CHANCE
    assert made.summary()["shut_reasons"] == {TOO_FEW: 3}


def test_at_chance_until_the_discriminator_has_learned():
    made = gate(min_plays=3)
    for _ in range(3):
        made.observe_play(0.9, 1.0)
    assert made.open and made.explanation == ""
    for _ in range(8):
        made.observe_play(0.5, 0.0)
    assert made.reason == CHANCE and "accuracy" in made.explanation
    winning(made)
    assert made.open  # and opens again


def test_noisy_accuracy_must_prove_more():
    steady, noisy = gate(smoothing=0.9), gate(smoothing=0.9)
    for play in range(40):
        steady.observe_play(0.6 + 0.01 * (-1) ** play, 0.1)
        noisy.observe_play(0.6 + 0.4 * (-1) ** play, 0.1)
    assert steady.open and noisy.reason == CHANCE


def test_wins_by_far_and_opens_again():
    made = winning(gate(win_gap=3.0))
    for _ in range(6):
        made.observe_play(1.0, 9.0)
    assert made.reason == WINS and "logit gap" in made.explanation
    for _ in range(6):
        made.observe_play(0.9, 1.0)
    assert made.open


@pytest.mark.parametrize(
    "held_out, train",
    [
        ([1.0, 2.04], [1.0, 2.0]),  # overfitting: the gap grows
        ([1.0, 2.04], [1.0, 2.04]),  # bias: both grow
        ([1.0, 2.001], [1.0, 1.961]),  # train falls, held-out does not follow
    ],
)
def test_shuts_when_one_bin_worsens_by_more_than_one_percent(held_out, train):
    made = winning(gate())
    made.observe_held_out([1.0, 2.01], [1.0, 2.01])
    assert made.open
    made.observe_held_out(held_out, train)
    assert made.reason == WORSENED
    assert made.explanation == "held-out loss worsened by 2.0% in sigma bin 1"
    made.observe_held_out([1.0, 2.01], [1.0, 2.0])
    assert made.open


def test_a_worsening_without_the_game_is_not_held_against_it():
    made = winning(gate())
    made.observe_held_out([1.0, 2.04], [1.0, 2.0])
    assert made.reason == WORSENED
    made.observe_held_out([1.0, 2.06], [1.0, 2.0])  # worse still, though nothing was played
    assert made.open
    made.observe_held_out([1.0, 2.07], [1.0, 2.0])  # less than 1% above the new reference
    assert made.open


def test_the_pause_must_outlast_the_memory_of_the_averages():
    made = winning(gate())
    worse = [1.0, 2.04], [1.0, 2.0]
    made.observe_held_out(*worse, nimg=1000, memory=500)
    for nimg in (1200, 1400):  # an average that lags goes on getting worse for a while
        made.observe_held_out([1.0, 2.05 + nimg / 1e5], [1.0, 2.0], nimg=nimg, memory=500)
        assert made.reason == WORSENED
    made.observe_held_out([1.0, 2.07], [1.0, 2.0], nimg=1600, memory=500)
    assert made.open


def test_the_reference_is_each_bin_at_its_best():
    made = winning(gate())
    made.observe_held_out([0.9, 1.5], [0.8, 1.2])  # a larger gap, but a better denoiser
    assert made.open
    made.observe_held_out([0.905, 1.52], [0.81, 1.22])
    assert made.reason == WORSENED and made.worst_bin == 1


def test_the_first_reference_is_the_last_measurement_before_the_game():
    made = Gate(GateConfig())
    made.observe_held_out([9.0], [9.0])
    made.observe_held_out([1.0], [1.0])
    made.start()
    winning(made, plays=10)
    made.observe_held_out([1.05], [1.0])
    assert made.reason == WORSENED


def test_non_finite_numbers_decide_nothing():
    made = winning(gate())
    made.observe_play(float("nan"), float("nan"))
    made.observe_held_out([float("nan"), 2.0], [1.0, 2.0])
    assert made.open


def test_refuses_other_bins():
    with pytest.raises(ValueError, match="sigma bins"):
        gate().observe_held_out([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"keep train\.sigma_bins"):
        gate().observe_held_out([1.0], [1.0])


def test_counts_plays_by_the_reason_under_which_they_were_played():
    made = gate(min_plays=2)
    winning(made, plays=5)
    assert made.plays == 5
    assert made.summary() == {"shut_reasons": {TOO_FEW: 2}, "open_fraction": 0.6}


def test_new_features_must_earn_their_accuracy_anew():
    made = winning(gate(min_plays=3))
    made.start()
    assert made.reason == TOO_FEW


def test_state_survives_json():
    made = winning(gate(win_gap=2.0))
    made.observe_held_out([1.0, 2.04], [1.0, 2.0], nimg=1000, memory=500)
    copy = Gate(made.config)
    copy.load_state_dict(json.loads(json.dumps(made.state_dict())))
    for each in (made, copy):
        each.observe_play(0.7, 3.5)
        each.observe_held_out([1.0, 2.03], [1.0, 2.0])
    assert copy.state_dict() == made.state_dict() and copy.reason == made.reason == WORSENED


def test_without_a_play_there_is_no_share_of_plays():
    assert Gate(GateConfig()).summary() == {"shut_reasons": {}, "open_fraction": None}
