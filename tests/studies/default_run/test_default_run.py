"""The study of the default run: its arms are settings that hold, its rows give a table."""

import json

import pytest
import yaml

from pipelines.params import load_params
from studies.convergence.arms import FIVE
from studies.default_run.__main__ import SHOWN, main, table
from studies.default_run.arms import ARMS
from studies.default_run.unit import IMAGES, METRICS, params_of, unit
from studies.staged import Limit, OutOfMinutes


@pytest.mark.parametrize("name", ARMS)
def test_the_params_of_an_arm_can_be_run(name, tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params_of(ARMS[name], 3)))
    params = load_params(tmp_path / "params.yaml")
    assert params.seed == 3 and params.evaluation.num_images == IMAGES
    plays = params.structure.kind != "none"
    assert ("few_game" in params.samplers) == plays == (params.model.adapter_rank > 0)
    if plays:
        assert params.structure.sampler.steps == FIVE["steps"]
        assert params.structure.start_kimg == params.train.total_kimg / 2


def row(arm, seed, items, value):
    metric = {"value": value, "floor": 0.001, "floor_std": 0.002}
    return {
        "arm": arm,
        "seed": seed,
        "kimg": 30,
        "training_seconds": 60.0,
        "items": {item: {key: metric for key in METRICS} for item in items},
    }


def test_the_table_has_a_line_of_each_sampler_and_the_floor(tmp_path, capsys):
    main(["--list", "--rows", str(tmp_path)])
    assert "no row stands" in capsys.readouterr().out
    for seed, value in ((20, 0.1), (24, 0.3)):
        for arm, items in (("graph", ("long", "few", "few_game")), ("adam120", ("long", "few"))):
            (tmp_path / f"{arm}-{seed}.json").write_text(json.dumps(row(arm, seed, items, value)))
    lines = table(tmp_path).splitlines()
    assert "0.0010 ± 0.0020" in lines[2]
    assert [line.split(" | ")[:3] for line in lines[3:]] == [
        [f"| {arm}", item, "2"]
        for arm, item in (
            *(("adam120", "long"), ("adam120", "few")),
            *(("graph", "long"), ("graph", "few"), ("graph", "few_game")),
        )
    ]
    assert "0.2000 ± 0.1414" in lines[3]
    assert set(SHOWN) == set(METRICS)


def test_a_row_that_stands_is_not_computed_again(tmp_path, monkeypatch):
    import studies.default_run.unit as module

    ran = []

    def run_stages(folder, params, commands, given=None, limit=None):
        ran.extend(commands)
        for sampler in params["samplers"]:
            place = folder / f"outputs/evaluate/0.1-{sampler}/metrics.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            metrics = {key: {"value": 0.5, "floor": 0.1, "floor_std": 0.1} for key in METRICS}
            place.write_text(json.dumps({"metrics": metrics}))
        return dict.fromkeys(commands, 2.0)

    monkeypatch.setattr(module, "run_stages", run_stages)
    first = unit("law", ARMS["law"], 20, tmp_path / "work", tmp_path, Limit())
    assert [word.split()[-1] for word in ran if "evaluate" in word] == ["long", "few", "few_game"]
    ran.clear()
    assert unit("law", ARMS["law"], 20, tmp_path / "work", tmp_path, Limit()) == first and not ran
    unit(
        "law", ARMS["graph"], 20, tmp_path / "work", tmp_path, Limit()
    )  # other settings: another row
    assert ran


def test_a_start_whose_minutes_are_used_says_so_and_ends(tmp_path, capsys, monkeypatch):
    import studies.default_run.unit as module

    def run_stages(*_, limit):
        raise OutOfMinutes("the same command goes on")

    monkeypatch.setattr(module, "run_stages", run_stages)
    main(["--arms", "muon20", "--rows", str(tmp_path), "--work", str(tmp_path / "work")])
    assert "the same command goes on" in capsys.readouterr().out
