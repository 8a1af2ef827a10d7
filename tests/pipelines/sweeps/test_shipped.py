"""The sweep.yaml of the project, and the example of docs/sweeps.md."""

from pathlib import Path

import pytest
import yaml

from pipelines.settings.cross_checks import remarks
from pipelines.settings.yaml_file import read_yaml
from pipelines.sweeps.space import Sweep, SweepConfig, load_sweep


def test_the_shipped_sweep_is_in_order():
    shipped = load_sweep("sweep.yaml")
    assert shipped.default_sample() is not None, "the default is among the trials"
    assert len(shipped.rungs) == 2 and shipped.rungs[-1] < shipped.total_nimg


@pytest.mark.parametrize("file", ["sweep.yaml", "docs/sweeps.md"])
def test_trials_too_short_for_a_game_have_none(file):
    text = Path(file).read_text()
    raw = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0] or text)
    params = read_yaml("params.yaml")
    made = Sweep(SweepConfig.model_validate(raw), params)
    assert made.default_sample() is not None and remarks(made.base) == []
    raw["space"]["structure.kind"] = "graph"
    (said,) = remarks(Sweep(SweepConfig.model_validate(raw), params).base)
    assert said.startswith("structure: the game will move nothing")
