"""The one table of metrics: complete, light, of one mind with its readers and its page."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from evaluation.gap import GAP_TERMS
from evaluation.metric_table import (
    BETTER_WORDS,
    CURVES,
    METRICS,
    TABLE,
    Better,
    Display,
    best_of,
    better_sentence,
    cost,
    metric_entry,
    shown,
    shown_with_floors,
)
from pipelines.sweeps.objectives import objective, reported_by_trials
from pipelines.upkeep.metric_doc import render

ROOT = Path(__file__).resolve().parents[2]


def test_every_row_says_something_and_is_shown_in_known_displays_only():
    assert not METRICS.keys() & CURVES.keys()
    for key, row in TABLE.items():
        assert row.title and row.says.endswith("."), key
        assert row.better in (*get_args(Better), None), key
        assert set(row.shown) <= set(get_args(Display)), key
        assert bool(row.why) == (row.better is not None), key
    assert all(shown(display) for display in get_args(Display)), "a display that shows nothing"


def test_directions():
    """More is not better for what real images reach on both sides of."""
    near = {key for key, row in METRICS.items() if row.better == "floor"}
    assert near == {"precision", "density", "knn_two_sample", "lid_ratio", "lid_generated"} | {
        "copy_ratio"
    }
    higher = {key for key, row in METRICS.items() if row.better == "up"}
    assert higher == {"recall", "coverage", "conditional_accuracy", "reconstruction_psnr"}
    assert set(GAP_TERMS) <= METRICS.keys()


def test_cost_is_low_where_a_metric_is_good():
    assert cost("down", 0.2) == 0.2 and cost("up", 0.2) == -0.2
    assert cost("floor", 0.7, floor=0.9) == cost("floor", 1.1, floor=0.9) == pytest.approx(0.2)
    assert cost("floor", 0.7) is None and cost(None, 0.7, floor=0.9) is None


def test_best_of_several_results():
    found = {"a": {"kid": 0.3, "fd": 1.0}, "b": {"kid": 0.1, "fd": 9.0}, "c": {"fd": 0.5}}
    assert best_of(found) == ("kid", "b")
    nothing = float("nan")
    assert best_of(found | {"b": {"kid": nothing}, "a": {"kid": None, "fd": 1.0}}) == ("fd", "c")
    assert best_of({}) is None and best_of({"a": {"coverage": 1.0}}) is None


def test_frechet_distances_bear_the_name_of_their_network():
    assert metric_entry("fd", "FD-Classifier").title == "FD-Classifier"
    assert metric_entry("fd_train_full", "FID").title == "FID to all training images"
    unknown = metric_entry("my_own_metric")
    assert unknown.title == "my own metric" and unknown.better is None


def test_floors_have_columns_beside_the_two_distances():
    assert shown_with_floors("csv")[:4] == ["kid", "kid_floor", "fd", "fd_floor"]
    assert set(shown("csv")) == {
        *("kid", "fd", "structure_gap", "copy_ratio", "conditional_accuracy")
    }


def test_a_search_looks_at_the_distance_from_the_floor():
    assert objective("density") == "density_from_floor"
    assert all(objective(key) == key for key in ("kid", "recall", "held_out/loss"))
    reported = reported_by_trials()
    assert {"density", "density_from_floor", "kid"} <= set(reported)
    assert len(set(reported)) == len(reported) and "kid_from_floor" not in reported


def test_the_table_is_light():
    code = "import sys, evaluation.metric_table as t; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_page_names_every_metric_with_its_direction():
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert render() in page, "put in what python -m pipelines.upkeep.metric_doc prints"
    for key, row in TABLE.items():
        (line,) = re.findall(rf"^\| `{re.escape(key)}` \|.*$", page, re.MULTILINE)
        assert (
            f"| {BETTER_WORDS[row.better] or '-'} |" in line
            and row.title.replace("|", "\\|") in line
        )


DIRECTION = re.compile(
    r"(lower|higher|smaller|larger|greater|less|more|fewer) (values? )?(is|are) better"
    r"|the (lower|higher|smaller|larger) the better",
    re.IGNORECASE,
)
MAY_WORD_IT = {"evaluation/metric_table.py", "studies/structure/tradeoff.py"}
"""The table, and a figure of distances alone ("lower left is better"), which the test checks."""


def test_no_other_place_words_a_direction():
    """Pages, charts, sweeps and docs say which way is better in the table's words alone."""
    folders = ("evaluation", "pipelines", "studies", "sadm", "training", "docs")
    files = [f for folder in folders for f in (ROOT / folder).rglob("*.[pm][yd]")]
    files += [ROOT / name for name in ("README.md", "dvc.yaml", "sweep.yaml")]
    assert len(files) > 100
    found = {str(f.relative_to(ROOT)) for f in files if DIRECTION.search(f.read_text())}
    assert found <= MAY_WORD_IT
    assert all(METRICS[key].better == "down" for key in shown("study figure"))


def test_axes_of_dvcs_plots_say_the_tables_directions():
    """`dvc plots` draws fid_by_ema.csv and the loss curves."""
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    drawn = 0
    for plot in plots:
        ((title, about),) = plot.items()
        for columns in about["y"].values():
            rows = [TABLE[name.removesuffix("_floor")] for name in columns]
            words = {BETTER_WORDS[row.better] for row in rows}
            assert [f"better: {word}" for word in words] == [about["y_label"].partition(", ")[2]], (
                title
            )
            drawn += len(rows)
    assert drawn >= 4


def test_words_of_a_direction():
    assert better_sentence("floor") == "Better: near its floor." and better_sentence(None) == ""
    assert set(BETTER_WORDS) == {*get_args(Better), None}
