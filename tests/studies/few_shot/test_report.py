"""The table of the study of few shots, against SciPy's paired t test over seeds."""

import json

import numpy as np
import pytest
from scipy import stats

from studies.few_shot.report import METHODS, TUNING_SEED, table

SEEDS, DRAWS = (21, 22, 23), 2


@pytest.fixture
def write(tmp_path):
    """write(seed, draw, logistic, time_step) puts a row there, accuracies in percent."""

    def one(seed, draw, logistic, time_step):
        accuracy = dict.fromkeys(METHODS, 0.5)
        accuracy |= {"logistic": logistic / 100, "time_step": time_step / 100}
        row = {"task": "classes", "arm": "plain", "shots": 4, "seed": seed, "draw": draw}
        path = tmp_path / f"classes-plain-4-{seed}-{draw}.json"
        path.write_text(json.dumps(row | {"accuracy": accuracy}))

    return one


def test_gains_are_paired_by_seed_and_draw_with_an_interval_over_seeds(write, tmp_path):
    generator = np.random.default_rng(0)
    logistic = generator.uniform(40, 80, (len(SEEDS), DRAWS))
    better = logistic + generator.normal([[2.0], [3.0], [5.0]], 1, logistic.shape)
    for place, seed in enumerate(SEEDS):
        for draw in range(DRAWS):
            write(seed, draw, logistic[place, draw], better[place, draw])
    write(TUNING_SEED, 0, 0.0, 100.0)
    found = stats.ttest_rel(better.mean(1), logistic.mean(1)).confidence_interval(0.95)
    gap = (better - logistic).mean()
    (line,) = table(tmp_path).splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["classes", "plain", "4", "3", "2"]
    means = better.mean(1)
    assert cells[5] == f"{means.mean():.1f} ± {means.std(ddof=1):.1f}"
    assert cells[5 + len(METHODS)].startswith(f"{gap:+.3g} [{found.low:+.3g}, {found.high:+.3g}]")


def test_draws_of_one_seed_make_no_interval_and_lacking_ones_are_told(write, tmp_path):
    for draw in range(3):
        write(21, draw, 50.0, 60.0 + draw)
    assert "| 4 | 1 | 3 |" in table(tmp_path) and "+11 (one seed: no interval)" in table(tmp_path)
    write(22, 0, 50.0, 60.0)
    assert "| 4 | 2 | 1 to 3 |" in table(tmp_path)


def test_the_table_of_no_rows_says_so(write, tmp_path):
    assert "no row stands" in table(tmp_path)
    write(TUNING_SEED, 0, 50.0, 60.0)
    assert "no row stands" in table(tmp_path) and "20 (for tuning)" in table(tmp_path)
