"""Learning rates over training."""

from pathlib import Path
from runpy import run_path

import numpy as np

from training.learning_rates import adapter_learning_rate, learning_rate

settings = run_path(str(Path(__file__).with_name("small_runs.py")))["settings"]


def test_learning_rate():
    config = settings()
    config = config.model_copy(
        update={
            "train": config.train.model_copy(
                update={"lr": 1.0, "lr_ramp_kimg": 1.0, "lr_decay_kimg": 4.0}
            )
        }
    )
    rates = [learning_rate(config, n) for n in (500, 1000, 4000, 16000)]
    np.testing.assert_allclose(rates, [0.5, 1.0, 1.0, 0.5])


def test_the_adapters_learning_rate_falls_to_zero_at_the_end():
    config = settings(total_kimg=2.0, game="graph")
    structure = config.structure.model_copy(update={"adapter_lr": 1.0, "start_kimg": 1.0})
    config = config.model_copy(update={"structure": structure})
    rates = [adapter_learning_rate(config, n) for n in (0, 1000, 1500, 2000, 2064)]
    np.testing.assert_allclose(rates, [1.0, 1.0, 0.5, 0.0, 0.0])
