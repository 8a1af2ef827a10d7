"""Time and disk of students: the critic's steps, the teacher's pairs, and the items judged."""

import runpy
from functools import partial
from pathlib import Path

import pytest
import torch

from dataset.store import ImageDataset
from pipelines.checkup.disk import disk_needed
from pipelines.checkup.machine import student_line
from pipelines.forecast import kept, measure
from pipelines.forecast.duration import (
    Costs,
    TrainingWork,
    judged_samplers,
    pairs_seconds,
    sampling_seconds,
)
from pipelines.forecast.measure import Measured
from pipelines.forecast.stand_in import write_stand_in
from pipelines.forecast.tell import expected_costs
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
NEARBY = runpy.run_path(str(Path(__file__).with_name("counted_work.py")))
HEUN = {"solver": "heun", "grid": "karras", "steps": 2}
SHORT = {"samplers": ["one"], "batch_size": 16, "total_kimg": 3.2, "lengths": [0.05, 0.1]}
STUDENTS = {
    "quick": {"kind": "distribution_matching", "critic_steps": 5, **SHORT},
    "played": {
        "kind": "distribution_matching",
        "critic_steps": 5,
        "structure": {"kind": "per_sample", "fakes": "onestep", "start_kimg": 0, "every": 10},
        **SHORT,
    },
    "four": {"kind": "distribution_matching", "start": [80.0, 2.0], **SHORT},
    "plain": {"kind": "regression", "pairs": 1000, "sampler": HEUN, **SHORT},
}
CHANGES = {
    "model.channels": 8,
    "model.structural_blocks": [],
    "model.attention_resolutions": [],
    "structure.kind": "none",
    "sampling.one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]},
    "students": STUDENTS,
    "distil": ["quick", "plain"],
    "cluster.num_workers": 0,
}


@pytest.fixture
def params(workspace, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return check_params(with_values(read_yaml(ROOT / "presets" / "digits.yaml"), CHANGES))


def trial(params, tmp_path, name):
    write_stand_in(params.dataset, tmp_path)
    settings = params.student_settings(name)
    return measure.Trial(settings, ImageDataset(tmp_path), torch.device("cpu"))


def test_a_step_is_the_mean_of_those_with_and_without_the_student(params, tmp_path, monkeypatch):
    run, moved = trial(params, tmp_path, "quick"), []
    assert run.kinds(4) == [(0, 0.2), (1, 0.8)], "the student moves at every fifth"
    accumulate = run.state.method.accumulate

    def watch(turn, slots):
        moved.append(turn)
        return accumulate(turn, slots)

    run.state.method.accumulate = watch
    seconds = iter([10.0, 2.0])

    def time(call):
        call()
        return next(seconds)

    monkeypatch.setattr(run, "time", time)
    assert run.mean_step(4) == pytest.approx(0.2 * 10 + 0.8 * 2)
    assert moved == ["student", "critic", "critic"]


def test_students_of_several_evaluations_are_timed_at_each_number_of_them(params, tmp_path):
    run = trial(params, tmp_path, "four")
    kinds = run.kinds(4)
    assert len(kinds) == 4 and sum(share for _, share in kinds) == pytest.approx(1)
    method = run.state.method
    stops = {(method.turns(n), method.stop(range(4 * n, 4 * n + 4))) for n, _ in kinds}
    assert len(stops) == 4


def test_a_students_steps_plays_and_weights_are_measured_without_its_teacher(
    params, tmp_path, monkeypatch
):
    clock = NEARBY["work_clock"](monkeypatch)
    monkeypatch.setattr(kept, "measure", partial(measure.measure, clock=clock))
    found = kept.measured(params, tmp_path, "played")
    assert found.costs.step > 0 and found.costs.play > 0 and found.costs.held_out == 0
    # The student: weights, two of Adam, two averages. The critic: weights and two of Adam.
    assert found.checkpoint_bytes > 7.5 * found.parameter_bytes > 0
    assert found.image_bytes == 4 * 64
    assert kept.measured(params, tmp_path, "played") == found, "from .runs/speed-played.json"
    assert expected_costs(params, tmp_path, "played") == found.costs

    def again(**changes):
        raw = params.model_dump(mode="json")
        changed = {f"students.played.{k}": v for k, v in changes.items()}
        return kept.kept_costs(check_params(with_values(raw, changed)), tmp_path, "played")

    assert again(lr=0.1, total_kimg=50) == found.costs and again(critic_steps=2) is None
    # Of 200 steps the 20 multiples of `every` have a play.
    assert TrainingWork(params.student_settings("played"), found.costs).plays(3200) == 20


def test_a_measurement_draws_two_pairs_and_not_all(params, tmp_path, monkeypatch):
    run = trial(params, tmp_path, "plain")
    run.step(4)
    assert len(run.state.method.teacher_pairs.images) == 2


def test_the_items_and_pairs_of_students_count(params):
    costs = Costs(step=1.0, play=0.0, held_out=0.0, evaluation=1e-3)
    own = len(params.ema.lengths) * len(params.samplers)
    assert judged_samplers(params)[own:] == ["one"] * 4
    none = check_params(params.model_dump(mode="json") | {"distil": []})
    more = sampling_seconds(params, costs) - sampling_seconds(none, costs)
    assert more == pytest.approx(4 * params.evaluation.num_images * 1e-3)
    settings = params.student_settings("plain")
    assert pairs_seconds(settings, costs) == pytest.approx(1000 * 3 * 1e-3)  # Heun's 2 steps are 3
    assert pairs_seconds(params.student_settings("quick"), costs) == 0
    said = student_line(params, "plain", costs)
    assert said.startswith("plain: training about 3 minutes (a step of 16 images takes 1 s")
    assert said.endswith("; its teacher's 1,000 pairs about 3 seconds, if none are kept")
    assert "its critic's included" in student_line(params, "quick", costs)


def test_the_disk_must_hold_a_students_run_and_pairs(params):
    found = Measured(Costs(1, 1, 1, 1), checkpoint_bytes=5000, parameter_bytes=1000, image_bytes=7)
    more = disk_needed(params, found, {"plain": found}) - disk_needed(params, found)
    # 3 checkpoints, 8 snapshots of 2 lengths, 1,000 pairs, 2 averages
    assert more == 3 * 5000 + 16 * 1000 + 7000 + 2 * 1000
