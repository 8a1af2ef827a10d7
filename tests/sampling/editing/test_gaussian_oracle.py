"""On Gaussian data what is drawn has the conditional mean and covariance, known in closed form."""

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.editing import solve_edit
from sampling.editing.edit import Edit
from sampling.editing.known_region import KnownRegion
from sampling.editing.resampling import descents
from sampling.grids.table import time_grid
from sampling.solvers.table import make_solver
from studies import editing_oracle
from studies.editing_oracle import OneDraw, edit_errors, main

SIGMAS = time_grid("log_snr", 24, 0.02, 10.0).tolist()


def test_resampling_leads_to_the_conditional_distribution():
    """Replacement alone is biased; the error of the mean falls as one over the passes."""
    found = {passes: edit_errors(passes, "heun", {}, SIGMAS) for passes in (1, 5, 10, 40)}
    assert min(found[1]) > 0.5
    assert max(found[5]) < 0.2 and max(found[10]) < 0.1 and max(found[40]) < 0.03
    for few, many in ((5, 10), (10, 40)):
        assert found[few][0] * few == pytest.approx(found[many][0] * many, rel=0.15)


@pytest.mark.parametrize(
    ("solver", "options"), [("ddim", {}), ("ddim", {"eta": 1.0}), ("dpmpp_2m", {}), ("unipc", {})]
)
def test_the_mean_is_right_with_every_solver(solver, options):
    """Steps of first order, of which resampling makes most with these, draw too narrow a spread."""
    alone, often = (edit_errors(passes, solver, options, SIGMAS) for passes in (1, 40))
    assert alone[0] > 0.4 and often[0] < 0.03
    assert 0.05 < often[1] < 0.3


BROKEN = ["the noise is not added back", "nothing is held", "the last step is resampled too"]


@pytest.mark.parametrize("broken", BROKEN)
def test_the_oracle_sees_a_broken_edit(broken, monkeypatch):
    if broken == BROKEN[0]:
        plain = OneDraw.__call__
        monkeypatch.setattr(OneDraw, "__call__", lambda s, x=None: plain(s) * (s.next <= 1))
    elif broken == BROKEN[1]:
        monkeypatch.setattr(KnownRegion, "hold", lambda self, denoise: denoise)
    else:
        longer = [*descents(0, 24, 40), *[(23, 24)] * 39]
        monkeypatch.setattr(Edit, "runs", lambda self, steps: longer)
    assert max(edit_errors(40, "heun", {}, SIGMAS)) > 0.05


def test_solve_edit_is_what_the_oracle_follows(monkeypatch):
    edit = Edit(image=editing_oracle.IMAGE[None], drawn=editing_oracle.DRAWN, resample=3)
    expected = editing_oracle.results(edit, "ddim", {"eta": 1.0}, SIGMAS)
    mean, covariance = editing_oracle.MEAN, editing_oracle.COVARIANCE
    denoiser = GaussianDenoiser(
        editing_oracle.SHAPE,
        torch.tensor(mean).view(editing_oracle.SHAPE),
        covariance=torch.tensor(covariance),
    )
    normal = OneDraw((len(expected) - 1) // 4)
    noise = normal()
    monkeypatch.setattr(solve_edit, "normal_source", lambda generators, count: normal)
    solver = make_solver("ddim", eta=1.0)
    assert torch.equal(solve_edit.solve_edit(edit, solver, denoiser, noise, SIGMAS), expected)
    assert np.isfinite(expected.numpy()).all()


def test_the_table_of_the_command(capsys, monkeypatch):
    monkeypatch.setattr(editing_oracle, "SOLVERS", (("heun", {}), ("ddim", {"eta": 1.0})))
    main(["--passes", "1,2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 6 and lines[0].endswith("1 pass | 2 passes |")
    assert lines[2].startswith("| heun | karras, 18 steps | 0.61 / 0.75 | 0.38 / 0.49 |")
    with pytest.raises(SystemExit):
        main(["--passes", "1000"])
    assert "--passes 1000: at most 100 can be used" in capsys.readouterr().err
