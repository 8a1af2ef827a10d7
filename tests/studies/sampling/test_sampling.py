"""The studies' own arithmetic, and one run of each command from end to end."""

import numpy as np
import pandas as pd
import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.seeds import image_generators, image_noise
from studies.sampling import runs, subjects
from studies.sampling.__main__ import main
from studies.sampling.runs import SOLVERS, measure, steps_for
from studies.sampling.subjects import Subject


def subject(count=16):
    noise = image_noise(image_generators(0, range(count)), (1, 1, 2), torch.float64)
    return Subject("gaussian", GaussianDenoiser((1, 1, 2), std=0.5), noise, batch=5)


def test_steps_for_an_exact_number_of_evaluations():
    assert [steps_for("heun", nfe) for nfe in (5, 6, 7, 35)] == [3, None, 4, 18]
    assert all(steps_for(name, 8) == 8 for name in SOLVERS if name != "heun")


def test_error_is_that_of_the_closed_form(tmp_path, monkeypatch):
    """DDIM on Gaussian data contracts by a known factor, and so does a very long run."""
    monkeypatch.setattr(runs, "GRIDS", ("log_snr",))
    table = measure(subject(), (6,), tmp_path)
    row = table[(table.solver == "ddim") & (table.nfe == 6)].iloc[0]
    sigmas = np.append(np.geomspace(80.0, 0.002, 6), 0.0)
    factor = np.prod((0.25 + sigmas[:-1] * sigmas[1:]) / (0.25 + sigmas[:-1] ** 2))
    exact = 0.5 / (0.25 + 80.0**2) ** 0.5
    size = float(subject().noise.square().mean().sqrt()) * 80.0
    assert row.rmse == pytest.approx(abs(factor - exact) * size, rel=1e-3)


def test_command_writes_table_and_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "GRIDS", ("karras", "arctan"))
    monkeypatch.setattr(runs, "REFERENCE_STEPS", 60)
    monkeypatch.setattr(subjects, "mixtures", lambda images: [subject(images)])
    monkeypatch.setattr("studies.sampling.report.SHOWN_GRIDS", ("karras", "arctan"))
    main(["--nfe", "5,8", "--images", "16", "--out", str(tmp_path), "--grid-cache", str(tmp_path)])
    table = pd.read_csv(tmp_path / "sampling.csv")
    assert set(table.nfe) == {5, 8, 99} and set(table.solver) == set(SOLVERS)
    text = (tmp_path / "sampling.md").read_text()
    best = table[table.nfe == 8].sort_values("rmse").iloc[0]
    assert f"{best.solver} {best.grid} {best.rmse:.3g}" in text
    assert (tmp_path / "sampling.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nfe", "a"],
        ["--nfe", "1"],
        ["--no-mixtures"],
        ["--model", "missing.safetensors"],
        ["--model", "a", "--names", "a,b"],
        ["--model", "a", "--reference", "b", "--reference", "c"],
    ],
)
def test_bad_arguments_end_in_one_line(arguments, capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
