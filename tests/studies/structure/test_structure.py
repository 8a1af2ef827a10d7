"""The structure study: its arithmetic, and one tiny run of the command, twice."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from evaluation.metric_table import metric_entry, shown
from studies.structure.__main__ import main
from studies.structure.options import parse
from studies.structure.report import closer, columns
from studies.structure.tradeoff import tradeoff_points

MODEL = {"channels": 8, "blocks": 1, "attention_resolutions": [], "structural_blocks": []}
PARAMS = Path(__file__).parents[3] / "params.yaml"


def rows(arm, seed, kimg, value, metric="kid", floor=0.1):
    return {
        "arm": arm,
        "seed": seed,
        "kimg": kimg,
        "sampler": "few",
        "metric": metric,
        "value": value,
        "floor": floor,
        "floor_std": 0.01,
    }


def test_closer_to_the_floor_is_a_share_of_the_controls_distance():
    table = pd.DataFrame(
        [rows("control", s, 8, 0.5 + 0.1 * s) for s in range(3)]
        + [rows("graph", s, 8, 0.1 + 0.25 * (0.4 + 0.1 * s)) for s in range(3)]
    )
    found = closer(table[table.arm == "graph"], table[table.arm == "control"], "kid")
    assert found.n == 3 and found.mean == pytest.approx(0.75)
    below = table[table.arm == "graph"].assign(
        value=0.0
    )  # below the floor is not better than at it
    assert closer(below, table[table.arm == "control"], "kid").mean < 1


def test_lower_left_is_better_in_the_trade_off():
    assert [metric_entry(key).better for key in shown("study figure")] == ["down"] * 3


def test_the_longer_control_has_a_column_of_its_own():
    table = pd.DataFrame(
        [
            rows("start", -1, 0, 1.0),
            rows("control", 0, 8, 0.5),
            rows("control", 0, 10, 0.4),
            rows("graph", 0, 8, 0.3),
        ]
    )
    assert list(columns(table, 8)) == ["start", "control", "graph", "control, 10 kimg"]


def test_a_tradeoff_starts_at_the_start_and_an_adapter_leaves_the_long_sampler_alone():
    def row(arm, seed, kimg, sampler, value):
        return rows(arm, seed, kimg, value) | {"sampler": sampler}

    table = pd.DataFrame(
        [row("start", -1, 0, "few", 1.0), row("start", -1, 0, "long", 0.3)]
        + [row("control", s, 4, "long", 0.2 + 0.2 * s) for s in (0, 1, 9)]
        + [row("control", 0, 4, "few", 0.8)]
        + [row("control", 0, 10, name, 0.7) for name in ("few", "long")]
        + [row("adapted", s, 4, "few", 0.5 + 0.1 * s) for s in (0, 1)]
        + [row("moved", 0, 4, "few", 0.6), row("moved", 0, 4, "long", 0.9)]
    )
    adapted = tradeoff_points(table, "adapted", "kid", "few", "long", 8)
    assert adapted.kimg.tolist() == [0, 4]
    assert adapted.long.tolist() == pytest.approx([0.3, 0.3])  # the control's, of the same seeds
    assert adapted.deployed.tolist() == pytest.approx([1.0, 0.55])
    control = tradeoff_points(table, "control", "kid", "few", "long", 8)
    assert control.kimg.tolist() == [0, 4]  # what only a longer control has is left out
    moved = tradeoff_points(table, "moved", "kid", "few", "long", 8)
    assert moved.long.tolist() == [0.3, 0.9] and moved.deployed.tolist() == [1.0, 0.6]


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    raw = yaml.safe_load(PARAMS.read_text())
    raw["model"] |= MODEL | {"adapter_rank": 2}
    raw["train"] |= {"batch_size": 32, "held_out_images": 16}
    raw["structure"] |= {
        "fakes": "deployed",
        "every": 2,
        "batch_size": 16,
        "width": 8,
        "gate": {"chance_margin": 0.0, "min_plays": 1, "smoothing": 0.0},
        "sampler": {"solver": "ddim", "grid": "karras", "steps": 4},
    }
    raw["sampling"] = {
        name: {"solver": "ddim", "grid": "karras", "steps": steps}
        for name, steps in (("few", 3), ("long", 5))
    }
    raw["samplers"] = ["long"]
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_command_trains_judges_and_goes_on(material, params, tmp_path, capsys):
    start, other = tmp_path / "start.safetensors", material.ema / "other" / "0.1.safetensors"
    for end in (".safetensors", ".json"):
        shutil.copy(material.weights.with_suffix(end), start.with_suffix(end))
    line = (
        f"--params {params} --init {start} --dataset {material.dataset} "
        f"--reference {material.reference} --seeds 0,1 --kimg 0.256 --deployed few "
        f"--long long --images 32 --draws 2 --jobs 1 --every 1 --out {tmp_path}/out"
    ).split()
    main(line)
    table = pd.read_csv(tmp_path / "out" / "structure.csv")
    assert set(table.arm) == {"start", "control", "graph"}
    assert set(table[table.arm == "control"].kimg) == {0.256, 0.32}
    kid = table[table.metric == "kid"].set_index(["arm", "seed", "kimg", "sampler"]).value
    assert np.isfinite(kid).all()
    # The game is played on the sampler that is judged, whatever the params would have it play on.
    game = json.loads((tmp_path / "out/runs/graph-0-0.256/settings.json").read_text())["structure"]
    assert game["sampler"]["steps"] == 3 and game["every"] == 1
    # The long sampler leaves the adapter off, and there the arm is its control, bit by bit.
    assert ("graph", 0, 0.256, "long") not in kid.index
    assert "graph, seed 1: adapter off, 8 snapshots are the control's bitwise" in (
        capsys.readouterr().out
    )
    assert kid["graph", 0, 0.256, "few"] != kid["control", 0, 0.256, "few"]
    assert kid["control", 0, 0.32, "few"] != kid["control", 0, 0.256, "few"]
    text = (tmp_path / "out" / "structure.md").read_text()
    assert "closer to the floor by" in text and "--control-kimg" in text
    assert (tmp_path / "out" / "structure.png").stat().st_size > 10_000
    # Four panels (real, start, control, graph), of which the last two differ.
    sheet = np.asarray(Image.open(tmp_path / "out" / "samples.png").convert("L"), float)
    assert sheet.shape[1] == 4 * 544
    panels = np.split(sheet[100:], 4, axis=1)
    assert all((a != b).any() for a, b in itertools.combinations(panels, 2))

    # Again: nothing is trained or drawn anew.
    judged = tmp_path / "out" / "judged" / "graph-0-0.256-few.json"
    stamp = judged.stat().st_mtime_ns
    runs = [json.loads(p.read_text()) for p in tmp_path.glob("out/runs/*/seconds.json")]
    main(line)
    assert judged.stat().st_mtime_ns == stamp and len(runs) == 4
    assert (tmp_path / "out" / "structure.md").read_text() == text
    with pytest.raises(ValueError, match="other settings"):
        main([*line, "--lr", "0.001"])
    pair = [start, start.with_suffix(".json")]
    kept = [path.read_bytes() for path in pair]
    for path in pair:  # the same path, weights of the same shape
        shutil.copy(other.with_suffix(path.suffix), path)
    with pytest.raises(ValueError, match="other starting weights"):
        main(line)
    for path, content in zip(pair, kept, strict=True):
        path.write_bytes(content)

    # A control of another length: it alone is trained.
    main([*line, "--seeds", "0", "--control-kimg", "0.384"])
    names = {p.parent.name for p in tmp_path.glob("out/runs/*/seconds.json")}
    graphs, controls = {"graph-0-0.256", "graph-1-0.256"}, {"control-0-0.32", "control-1-0.32"}
    assert names == graphs | controls | {"control-0-0.384"}
    assert judged.stat().st_mtime_ns == stamp
    assert "control, 0.384 kimg" in (tmp_path / "out" / "structure.md").read_text()


@pytest.mark.timeout(600)
def test_from_scratch_and_without_an_adapter(material, params, tmp_path):
    """Without --init the params' own schedule; an arm may lack the adapter that a sampler names."""
    raw = yaml.safe_load(params.read_text())
    raw["sampling"]["few_game"] = raw["sampling"]["few"] | {"adapter": True}
    raw["samplers"] = ["long", "few_game"]
    raw["structure"]["start_kimg"] = 0.128
    raw["train"]["lr_ramp_kimg"] = 0.0
    own = tmp_path / "params.yaml"
    own.write_text(yaml.safe_dump(raw))
    main(
        (
            f"--params {own} --dataset {material.dataset} "
            f"--reference {material.reference} --seeds 0 --kimg 0.256 "
            "--control-kimg 0.256 --deployed few --long long --images 32 --draws 2 "
            "--jobs 1 --every 1 --arms= --arm plain:model.adapter_rank=0 --at 0.128 "
            f"--out {tmp_path}/out"
        ).split()
    )
    settings = json.loads((tmp_path / "out/runs/plain-0-0.256/settings.json").read_text())
    assert settings["train"]["init_from"] is None and settings["structure"]["start_kimg"] == 0.128
    assert settings["train"]["lr"] == raw["train"]["lr"]
    table = pd.read_csv(tmp_path / "out" / "structure.csv")
    kid = table[table.metric == "kid"].set_index(["arm", "kimg", "sampler"]).value
    assert set(table.arm) == {"control", "plain"}
    # Before the game begins the arm is its control; afterwards not under the long sampler either.
    assert kid["plain", 0.128, "few"] == kid["control", 0.128, "few"]
    assert kid["plain", 0.128, "long"] == kid["control", 0.128, "long"]
    assert kid["plain", 0.256, "long"] != kid["control", 0.256, "long"]
    assert "from scratch" in (tmp_path / "out" / "structure.md").read_text()
    assert (tmp_path / "out" / "tradeoff.png").stat().st_size > 10_000


def test_what_cannot_run_is_named_before_any_training(material, params, tmp_path):
    line = (
        f"--params {params} --init {material.weights} --dataset {material.dataset} "
        f"--reference {material.reference} --deployed few --long long --kimg 0.256 "
        f"--out {tmp_path}/out"
    ).split()
    with pytest.raises(ValueError, match=r"structure\.sigma_min 5 is above 0\.5"):
        main([*line, "--arm", "bad:structure.sigma_min=5.0,structure.fakes=onestep"])
    with pytest.raises(ValueError, match=r"bad: .*init_from"):
        main([*line, "--arm", "bad:model.channels=16"])
    assert not list(tmp_path.glob("out/runs/*"))  # so that the name may be used again


def test_a_run_that_fails_is_named_and_ends_the_study(material, params, tmp_path, monkeypatch):
    line = (
        f"--params {params} --init {material.weights} --dataset {material.dataset} "
        f"--reference {material.reference} --deployed few --long long --kimg 0.256 "
        f"--seeds 0,1,2 --jobs 1 --out {tmp_path}/out"
    ).split()
    # The first run finds a file where its checkpoints should go.
    first = tmp_path / "out" / "runs" / "control-0-0.32"
    first.mkdir(parents=True)
    (first / "checkpoints").write_text("")
    with pytest.raises(ValueError, match="control, seed 0: "):
        main([*line])
    done = [path.parent.name for path in tmp_path.glob("out/runs/*/train.json")]
    assert len(done) <= 2  # those already handed to the one process


def test_an_arm_may_hold_a_list(material, params):
    line = (
        f"--params {params} --init {material.weights} --dataset {material.dataset} "
        f"--reference {material.reference} --deployed few --long long "
        "--arm wide:structure.feature_sigmas=[0.1,1.0],structure.k=3"
    ).split()
    values = {"structure.feature_sigmas": [0.1, 1.0], "structure.k": 3}
    assert parse(line, None).arm == [("wide", values)]
    own = parse([*line[:-1], "small:structure.adapter_lr=7e-4"], None).arm
    assert own == [("small", {"structure.adapter_lr": 7e-4})]  # a number, as in params.yaml


@pytest.mark.parametrize(
    "arguments",
    [
        ["--arm", "control:structure.k=3"],
        ["--at", "0.1"],
        ["--at", "80"],
        ["--control-kimg", "16"],
        ["--arms", "grap"],
        ["--arm", "x:structure.gamma"],
        ["--deployed", "fast9"],
        ["--length", "0.3"],
        ["--init", "missing.safetensors"],
        ["--seeds", "a"],
    ],
)
def test_bad_arguments_end_in_one_line(arguments, material, params, capsys):
    line = (
        f"--params {params} --init {material.weights} --dataset {material.dataset} "
        f"--reference {material.reference} --deployed few --long long"
    ).split()
    with pytest.raises(SystemExit):
        parse([*line, *arguments], None)
    assert "error:" in capsys.readouterr().err.splitlines()[-1]


def test_from_scratch_the_game_must_have_time_to_begin(material, params, capsys):
    raw = yaml.safe_load(params.read_text())
    line = (
        f"--params {params} --dataset {material.dataset} "
        f"--reference {material.reference} --deployed few --long long"
    ).split()
    start = raw["structure"]["start_kimg"]
    with pytest.raises(SystemExit):
        parse([*line, "--kimg", str(start)], None)
    assert "structure.start_kimg" in capsys.readouterr().err.splitlines()[-1]
    assert parse(line, None).kimg == raw["train"]["total_kimg"]
