"""sweep.yaml: what may stand in it, and what is told before anything starts."""

import math
import re
from pathlib import Path

import pytest
import yaml

from evaluation.metric_table import shown
from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.sweeps.domain import Domain, DomainError, parse_domain
from pipelines.sweeps.space import Sweep, SweepConfig, load_sweep

RAW = read_yaml("presets/digits.yaml")


def sweep(space, **settings):
    return Sweep(SweepConfig.model_validate({"name": "s", "space": space, **settings}), RAW)


def refused(space, **settings):
    with pytest.raises(ParamsError) as caught:
        sweep(space, **settings)
    assert "\n" not in str(caught.value), "one line"
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "extremes"),
    [
        ({"choice": [[1, 2], None, "a"]}, ([1, 2], None, "a")),
        ({"uniform": [0, 2]}, (0.0, 2.0)),
        ({"loguniform": [0.001, 0.1]}, (0.001, 0.1)),
        ({"int": [3, 9]}, (3, 9)),
        ({"int": [32, 100], "step": 32}, (32, 96)),
        ({"int": [1, 64], "log": True}, (1, 64)),
        (7, (7,)),
        ([1, 2], ([1, 2],)),
    ],
)
def test_domains(raw, extremes):
    domain = parse_domain(raw)
    assert domain.extremes == extremes
    if domain.varies:
        for value in extremes:
            assert domain.value(domain.sample_of(value)) == value
        assert domain.sample_of("never") is None


def test_all_problems_of_a_space_are_told_at_once():
    told = refused({"train.lrr": 1, "train.lr": {"uniform": [2, 1]}, "tracking.enabled": True})
    for part in ("train.lrr: unknown key", "train.lr: uniform needs low", "tracking.enabled chan"):
        assert part in told


def test_a_text_is_told_without_quotes():
    assert parse_domain("none").words() == "none in all trials"
    assert parse_domain({"choice": ["graph", None]}).words() == "graph or null"


@pytest.mark.parametrize(
    "raw",
    [
        {"loguniform": [0.001, 0.1]},
        {"uniform": [0.0123456, 0.9]},
        {"int": [8, 64], "step": 8},
        {"int": [1, 64], "log": True},
        {"int": [2, 14], "step": 4},
        {"int": [1, 3], "step": 2},
        {"int": [2, 4]},
        {"choice": [[1], {"a": 2}]},
    ],
)
def test_samples_of_tune_lie_inside_and_can_be_typed(raw):
    domain = parse_domain(raw)
    drawn = [domain.value(domain.for_tune().sample()) for _ in range(200)]
    if domain.kind == "choice":
        assert all(value in domain.values for value in drawn)
        return
    low, high = domain.extremes
    assert all(low <= value <= high for value in drawn) and len(set(drawn)) > 1
    if domain.kind == "int":
        assert all(isinstance(v, int) and (v - low) % domain.step == 0 for v in drawn)
        assert max(drawn) > (low + high) / 2 or domain.log
    else:
        assert all(v in (low, high) or len(f"{v:e}".split("e")[0].rstrip("0")) <= 5 for v in drawn)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "choice"),
        ({"normal": [0, 1]}, "choice"),
        ({"choice": [1]}, "at least two"),
        ({"choice": [1, 1]}, "twice"),
        ({"uniform": [2, 1]}, "below"),
        ({"uniform": [1]}, "two"),
        ({"loguniform": [0, 1]}, "above 0"),
        ({"int": [0.5, 3]}, "whole"),
        ({"uniform": [0, math.nan]}, "two"),
        ({"int": [1, 4], "step": 8}, "one value"),
        ({"uniform": [0, 1], "step": 2}, "does not go"),
        ({"int": [0, 4], "log": True}, "log"),
    ],
)
def test_domains_that_mean_nothing(raw, said):
    with pytest.raises(DomainError, match=said):
        parse_domain(raw)


def test_unknown_key_names_the_closest():
    assert "did you mean 'train.lr'?" in refused({"train.lrr": {"uniform": [0.1, 0.2]}})


def test_empty_space():
    assert "space is empty" in refused({})
    said = refused({"train.total_kimg": 20})
    assert "nothing in the space varies: train.total_kimg has one value" in said
    assert "train.lr has one value" in refused({"train.lr": [0.01, 0.02]}), "a list is one value"


def test_an_unconditional_trial_has_no_conditional_accuracy():
    space = {"model.class_conditional": {"choice": [True, False]}}
    said = refused(space, metric="conditional_accuracy")
    assert "no trial reports conditional_accuracy where model.class_conditional is false" in said


def test_what_a_trial_cannot_do_is_refused_before_it():
    with pytest.raises(ParamsError, match=r"gpu: 0\.5 would put workers of one trial on one GPU"):
        sweep({"train.lr": {"uniform": [0.1, 0.2]}}, workers=2, resources={"cpu": 1, "gpu": 0.5})
    sweep({"train.lr": {"uniform": [0.1, 0.2]}}, workers=1, resources={"cpu": 1, "gpu": 0.5})
    raw = {
        **RAW,
        "sampling": {
            **RAW["sampling"],
            "auto": {"guidance": [{"kind": "autoguidance", "weight": 2.0, "length": 0.2}]},
        },
    }
    config = SweepConfig(
        name="s", space={"train.lr": {"uniform": [0.1, 0.2]}}, evaluation={"sampler": "auto"}
    )
    with pytest.raises(ParamsError, match="auto has guidance autoguidance"):
        Sweep(config, raw)


def test_metric_that_nobody_reports():
    said = refused({"train.lr": {"uniform": [0.01, 0.02]}}, metric="kidd")
    assert "no trial reports 'kidd'" in said and "did you mean 'kid'?" in said


@pytest.mark.parametrize(
    "key", ["dataset.resolution", "evaluation.k", "cluster.micro_batch", "ema.lengths", "samplers"]
)
def test_keys_that_change_no_trial(key):
    assert "changes nothing" in refused({key: {"choice": [1, 2]}})


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"train.lr": {"uniform": [0.0, 0.1]}}, "train.lr: 0"),
        ({"train.lr": {"uniform": [-0.1, 0.1]}}, "train.lr: -0.1"),
        ({"structure.kind": {"choice": ["graph", "graf"]}}, "structure.kind"),
        ({"model.channels": {"uniform": [16, 32.5]}}, "model.channels: 32.5"),
        ({"model.channel_mult": {"choice": [[1, 2], [1, 2, 2, 2, 2]]}}, "dataset.resolution"),
        ({"sampling.heun18.steps": {"int": [0, 9]}}, "sampling.heun18.steps: 0"),
        # each alone is fine with params.yaml, both together are not
        (
            {"train.total_kimg": {"choice": [1, 160]}, "train.batch_size": {"choice": [32, 128]}},
            "ema.snapshots",
        ),
    ],
)
def test_every_extreme_value_is_checked(space, said):
    assert said in refused(space)


def test_every_extreme_is_checked_in_a_space_of_many_corners():
    space = {
        key: {"choice": list(range(1, 9))}
        for key in ("structure.k", "structure.layers", "structure.every", "model.blocks")
    }
    space["train.batch_size"] = {"choice": [32, 64, -1]}
    assert "train.batch_size: -1" in refused(space)


def test_fixed_values_and_rungs():
    made = sweep({"train.total_kimg": 36, "train.lr": {"loguniform": [0.01, 0.02]}}, workers=0)
    assert made.values({"train.lr": 0.0123456}) == {"train.total_kimg": 36, "train.lr": 0.01235}
    params = made.params({"train.lr": 0.015})
    assert params.train.total_kimg == 36 and params.cluster.num_workers == 0
    assert made.total_nimg == 36096 and made.rungs == (4011, 12032)
    assert sweep({"train.lr": {"uniform": [0.01, 0.02]}}, first_rung_kimg=60).rungs == (60000,)
    assert "first_rung_kimg" in refused(
        {"train.lr": {"uniform": [0.01, 0.02]}}, first_rung_kimg=1000
    )


def test_default_sample():
    assert sweep({"train.lr": {"uniform": [0.001, 0.1]}}).default_sample() == {"train.lr": 0.01}
    assert sweep({"train.lr": {"uniform": [0.02, 0.1]}}).default_sample() is None
    found = sweep({"structure.kind": {"choice": ["none", "graph"]}}).default_sample()
    assert found == {"structure.kind": '"graph"'}


def test_optuna_takes_every_domain():
    for domain in (
        Domain("choice", ([1], None)),
        Domain("uniform", (0.0, 1.0)),
        Domain("loguniform", (0.1, 1.0)),
        Domain("int", (2, 8), step=2),
    ):
        distribution = domain.for_optuna()
        for value in domain.extremes:
            assert distribution._contains(distribution.to_internal_repr(domain.sample_of(value)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nspce: {}", "did you mean 'space'?"),
        ("name: a/b", "name"),
        ("name: a\ntrials: 0", "trials"),
        ("name: a\nresources: {gpus: 1}", "resources.gpus: unknown key"),
        ("name: a\nspace:", "the space is empty"),
        ("- a", "mapping"),
        (
            "name: a\nevaluation: {sampler: euler}\nspace: {train.lr: {uniform: [0.1, 0.2]}}",
            "'euler' is not among",
        ),
        ("name: a\nspace: {train: {lr: {uniform: [0.1, 0.2]}}}", "train is a section"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, said):
    (tmp_path / "sweep.yaml").write_text(text)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(RAW))
    with pytest.raises(ParamsError) as caught:
        load_sweep(tmp_path / "sweep.yaml", tmp_path / "params.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value)


SPACE = {"train.lr": {"uniform": [0.01, 0.02]}}


@pytest.mark.parametrize(
    ("metric", "objective", "mode"),
    [
        ("kid", "kid", "min"),
        ("held_out/gap", "held_out/gap", "min"),
        ("recall", "recall", "max"),
        ("coverage", "coverage", "max"),
        ("conditional_accuracy", "conditional_accuracy", "max"),
        ("density", "density_from_floor", "min"),
        ("precision", "precision_from_floor", "min"),
        ("knn_two_sample", "knn_two_sample_from_floor", "min"),
    ],
)
def test_what_a_sweep_makes_better(metric, objective, mode):
    made = sweep(SPACE, metric=metric)
    assert (made.objective, made.mode) == (objective, mode)


def test_nothing_is_maximised_that_is_best_near_its_floor():
    said = refused(SPACE, metric="density", mode="max")
    assert "mode: max would reward density above its floor" in said and "null" in said
    assert sweep(SPACE, metric="density", mode="min").mode == "min"
    assert sweep(SPACE, metric="coverage", mode="max").mode == "max"


def test_tune_is_told_the_objective():
    from pipelines.sweeps.tuner import make_searcher

    searcher = make_searcher(sweep(SPACE, metric="density"), 2)
    assert (searcher.metric, searcher.mode) == ("density_from_floor", "min")


def test_the_page_lists_the_metrics_that_a_sweep_may_have():
    (row,) = re.findall(r"^\| `metric` \|.*$", Path("docs/sweeps.md").read_text(), re.MULTILINE)
    listed = re.findall(r"`([^`]+)`", row.split("|")[3])
    assert listed == shown("sweep")


@pytest.mark.parametrize("concurrent", [1, 3])
def test_random_search_waits_for_trials_that_run(concurrent):
    """Ray gives TuneConfig's number of trials at a time to other searchers only."""
    from pipelines.sweeps.tuner import make_searcher

    searcher = make_searcher(sweep(SPACE, searcher="random"), concurrent)
    assert searcher.max_concurrent == concurrent
