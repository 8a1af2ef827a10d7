"""What an item says of its evaluations."""

import numpy as np

from pipelines.stages.judged_item import counted_evaluations, evaluations
from sampling.config import SamplerConfig
from sampling.drawing.tally import EvaluationTally


def test_evaluations_are_settings_or_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    fixed = evaluations(SamplerConfig(steps=6, guidance=({"weight": 2.0},)), None)
    assert (fixed["nfe"], fixed["network_evaluations"]) == (11, 22)
    assert len(fixed["sigmas"]) == 7 and counted_evaluations(fixed) == {}
    tally = EvaluationTally(2)
    tally.put(0, np.array([17, 20]), np.array([34, 40]))
    counted = evaluations(SamplerConfig(solver="adaptive_heun"), tally)
    assert counted["network_evaluations"] == 37.0 and "sigmas" not in counted
    assert counted_evaluations(counted) == {"nfe": 18.5, "nfe_min": 17.0, "nfe_max": 20.0}
