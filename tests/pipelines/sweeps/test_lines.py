"""The lines of a sweep, as a stranger reads them."""

from pipelines.sweeps.domain import parse_domain
from pipelines.sweeps.lines import (
    begun_line,
    ended_line,
    header,
    outside_line,
    rung_line,
    stopping_line,
    values_text,
)
from pipelines.sweeps.space import Sweep, SweepConfig


def test_the_header_says_what_is_tried_and_how(tried):
    assert list(header(tried.sweep, tried.record)) == [
        "s: 4 trials, 2 at a time, searched by random",
        "  train.total_kimg  40 in all trials  (params.yaml: 120)",
        "  train.lr          0.001 to 0.1, logarithmic  (params.yaml: 0.01)",
        "  model.channels    16 or 32  (params.yaml: 32)",
        "  the first trial keeps params.yaml's values of the keys that vary",
        "judged by KID of 256 images (the lowest wins) after 10.016, 20.032 and 40.064 kimg",
        "a trial goes on from a rung if it is in the best 1/2 of those that reached it; the others "
        "stop there",
        "time: told as soon as the first trial has been judged",
    ]


def test_the_header_of_a_sweep_that_goes_on(tried):
    tried.begin(0)
    tried.now[0] = 100.16
    tried.report(0, 10_016)
    tried.record.ended("t0")
    said = list(header(tried.sweep, tried.record))
    assert said[0].endswith("; 1 is over already")
    # 3 trials of 10,016 to 40,064 images at 0.01 s, two at a time
    assert said[-1] == "time: 2:30 to 10:01 left, at 10 s for 1,000 images of a trial, as measured"


def test_the_header_without_rungs(tried):
    settings = tried.sweep.config.model_dump() | {"scheduler": "none", "metric": "density"}
    sweep = Sweep(SweepConfig.model_validate(settings), tried.sweep.raw)
    said = list(header(sweep, tried.record))
    assert any("(the closer to its floor the better) after 40.064 kimg" in line for line in said)
    assert not any("goes on from a rung" in line for line in said)


def test_each_line_of_a_trial_has_its_values(tried):
    sweep, record = tried.sweep, tried.record
    trial = tried.begin(3, lr=0.0155432, channels=16)
    assert begun_line(sweep, trial) == "trial 0 (lr 0.01554, channels 16) begins"
    tried.now[0] = 100.16
    tried.report(3, 10_016, 0.25)
    assert (
        rung_line(sweep, trial) == "trial 0 (lr 0.01554, channels 16): kid 0.25 after 10.016 kimg"
    )
    assert begun_line(sweep, trial).endswith("begins again, after 10.016 kimg")
    why = "a message that is longer than any line of a terminal, " * 9 + "and ends here"
    record.ended("t3", why)
    said = ended_line(sweep, trial, record, 2)
    assert said == (
        f"trial 0 (lr 0.01554, channels 16): broken: {why} (1 of 4 trials over, 2:30 to 10:01 left)"
    )


def test_keys_that_end_alike_are_written_out(tried):
    space = {
        "structure.lr": {"uniform": [0.001, 0.01]},
        "noise.mean": {"uniform": [-1.0, 0.0]},
        "train.lr": {"uniform": [0.001, 0.01]},
    }
    settings = tried.sweep.config.model_dump() | {"space": space}
    sweep = Sweep(SweepConfig.model_validate(settings), tried.sweep.raw)
    values = {"structure.lr": 0.002, "noise.mean": -0.5, "train.lr": 0.001}
    assert values_text(sweep, values) == "structure.lr 0.002, mean -0.5, train.lr 0.001"


def test_ctrl_c_is_told_what_is_kept(tried):
    tried.begin(0)
    tried.record.ended("t0")
    tried.begin(1, lr=0.01)
    assert stopping_line(tried.record) == (
        "stopping: 1 of 4 trials are over and kept; the 1 that ran goes on from its last "
        "checkpoint when the same command is given again"
    )


def test_the_key_whose_value_lies_outside_is_named(tried):
    tried.sweep.domains["train.lr"] = parse_domain({"uniform": [0.03, 0.1]})
    assert tried.sweep.default_sample() is None
    assert outside_line(tried.sweep) == (
        "no trial has params.yaml's own values of the keys that vary, since the space leaves one "
        "out: train.lr 0.01 is not in 0.03 to 0.1"
    )
