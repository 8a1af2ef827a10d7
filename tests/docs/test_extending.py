"""docs/extending.md: the page itself, and what it adds to sampling."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from scipy.special import ndtr

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from pipelines.params import ParamsError, check_params
from sampling.generate import generate
from sampling.seeds import image_generators, image_noise

page = SimpleNamespace(**run_path(str(Path(__file__).with_name("extending_page.py"))))
PAGE = page.PAGE
FOUND = page.FOUND
SECTIONS = page.SECTIONS
Entry = page.Entry
sections = page.sections
register = page.register
extended = page.extended
the_sampler = page.the_sampler
ROOT = page.ROOT
merged = page.merged


# The page itself.


def test_every_section_is_there_and_says_how_to_check():
    assert FOUND.keys() == SECTIONS
    for section in FOUND.values():
        assert re.match(r"(python -m|dvc) ", section.commands) and section.entries
        for folder in re.findall(r"pytest (\S+)", section.commands):
            assert (ROOT / folder).exists(), folder
        for module in re.findall(r"python -m ((?:pipelines|evaluation)\.\w+)", section.commands):
            assert importlib.util.find_spec(module), module
    for path in re.findall(r"`([a-z_]+/[\w/]+\.py)`", PAGE):
        assert (ROOT / path).is_file(), path


def in_place(text: str, entry: Entry) -> str:
    """A file's text with the entry's lines where the page shows them."""
    assert text.count(f"\n{entry.head}\n") == 1, f"{entry.path} has no line {entry.head!r}"
    return text.replace(f"\n{entry.head}\n", f"\n{entry.before}\n{entry.head}\n{entry.inside}\n")


def test_each_entry_fits_the_file_that_it_names():
    for section in FOUND.values():
        assert not (ROOT / section.path).exists(), f"{section.path} is no new file"
        imported = section.path.removesuffix(".py").replace("/", ".")
        for entry in section.entries:
            old = (ROOT / entry.path).read_text()
            tree = ast.parse(in_place(old, entry))
            (table,) = (
                node.value
                for node in tree.body
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == entry.table
            )
            assert isinstance(table, ast.Dict) and isinstance(table.keys[0], ast.Constant)
            assert f'"{table.keys[0].value}":' not in old, "the name is taken"
        assert any(f"from {imported} import" in entry.before for entry in section.entries)


def test_the_files_are_as_the_linter_wants_them(tmp_path):
    for section in FOUND.values():
        for entry in section.entries:
            added = f"{entry.before}\n{entry.inside}".splitlines()
            assert not [line for line in added if len(line) > 100]
        file = tmp_path / section.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(section.code)
    for task in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *task, "--no-cache"]
        done = subprocess.run(
            [*command, "--config", ROOT / "pyproject.toml", tmp_path],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"structure": {"kind": "momnts"}},
            "structure.kind: \"momnts\": unknown discriminator 'momnts': did you mean 'moments'?",
        ),
        ({"dataset": {"source": "npy_foldr"}}, "dataset.source: .* did you mean 'npy_folder'?"),
        ({"dataset": {"source": "npy_folder"}}, "dataset: .*source npy_folder needs path"),
        ({"train": {"method": "hubr"}}, "train.method: .* did you mean 'huber'?"),
        ({"sampling": {"a": {"solver": "midpont"}}}, "a.solver: .* did you mean 'midpoint'?"),
        ({"sampling": {"a": {"grid": "quantil"}}}, "a.grid: .* did you mean 'quantile'?"),
        ({"sampling": {"a": {"grid": "quantile", "grid_options": {"std": -1}}}}, "std is -1"),
        ({"sampling": {"a": {"guidance": [{"kind": "treshold"}]}}}, "did you mean 'threshold'?"),
        ({"model": {"structural_blocks": [{"kind": "poling"}]}}, "did you mean 'pooling'?"),
        ({"model": {"structural_blocks": [{"kind": "pooling", "size": 4}]}}, r"\[0\].size: 4"),
    ],
)
def test_mistakes_in_what_was_added_are_told_when_params_are_read(changes, told):
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    with pytest.raises(ParamsError, match=told):
        check_params(merged(raw, changes))


# Sampling, against exact denoisers.


def test_the_solver_has_its_closed_form_and_its_order():
    sampler, std = the_sampler("A solver"), 0.5
    exact, calls = GaussianDenoiser((1, 2, 2), std=std), []

    class Counted(GaussianDenoiser):
        def forward(self, x, sigma, labels=None):
            calls.append(float(sigma[0]))
            return super().forward(x, sigma)

    images = generate(Counted((1, 2, 2), std=std), sampler, seed=3, indices=range(5))
    factor = 80.0
    for sigma, target in pairwise(sampler.time_grid().tolist()):
        slope = lambda s: s / (std**2 + s**2)  # noqa: E731
        halfway = (sigma + target) / 2
        inner = 1 + (halfway - sigma) * slope(sigma)
        second = 1 + (target - sigma) * slope(halfway) * inner
        factor *= second if target > 0 else 1 + (target - sigma) * slope(sigma)
    noise = image_noise(image_generators(3, range(5)), (1, 2, 2))
    torch.testing.assert_close(images, noise * factor, rtol=1e-4, atol=1e-6)
    assert len(calls) == sampler.nfe == sampler.network_evaluations() == 23
    fine = [sampler.model_copy(update={"steps": n, "grid": "log_snr"}) for n in (100, 200)]
    flow = exact.flow(noise * 80.0, 80.0, 0.0)
    errors = [float((generate(exact, s, 3, range(5)) - flow).abs().max()) for s in fine]
    assert errors[1] < 0.35 * errors[0], errors  # second order: a quarter


def test_the_grid_is_uniform_in_its_own_measure():
    sampler = the_sampler("A time grid")
    levels = sampler.time_grid()
    share = ndtr((levels[:-1].log().numpy() + 0.8) / 2.0)
    np.testing.assert_allclose(np.diff(share), np.diff(share).mean(), rtol=1e-9)
    assert levels[0] == 80 and levels[-2] == 0.002 and levels[-1] == 0 and len(levels) == 9
    wide = sampler.model_copy(update={"grid_options": {"std": 1e4}}).time_grid()
    even = sampler.model_copy(update={"grid": "log_snr", "grid_options": {}}).time_grid()
    torch.testing.assert_close(wide, even, rtol=1e-5, atol=0)
    exact = GaussianDenoiser((1, 2, 2), std=0.5)
    images = generate(exact, sampler.model_copy(update={"steps": 60}), 0, range(4))
    noise = image_noise(image_generators(0, range(4)), (1, 2, 2))
    torch.testing.assert_close(images, exact.flow(noise * 80, 80, 0), rtol=0.02, atol=1e-3)


def test_the_guidance_keeps_strong_guidance_in_range_and_weak_alone():
    sampler = the_sampler("A guidance")
    means = torch.tensor([[-0.9, 0.2], [0.8, 0.9], [0.9, -0.7]]).view(3, 1, 1, 2)
    denoiser = GaussianMixtureDenoiser(means, 0.4, component_labels=[0, 0, 1])
    labels = torch.tensor([0, 1] * 8)
    free = sampler.model_copy(update={"guidance": sampler.guidance[:1]})
    plain, kept = (generate(denoiser, s, 0, range(16), labels) for s in (free, sampler))
    assert float(plain.abs().max()) > 1.05 and float(kept.abs().max()) <= 1
    assert sampler.network_evaluations() == free.network_evaluations()
    # One evaluation has a closed form: the scaled and cut estimate.
    one = {"steps": 1, "solver": "ddim"}
    raw, scaled = (
        generate(denoiser, s.model_copy(update=one), 0, range(16), labels) for s in (free, sampler)
    )
    for estimate, image in zip(raw, scaled, strict=True):
        bound = max(1.0, float(np.quantile(estimate.abs().numpy(), 0.99)))
        torch.testing.assert_close(image, estimate.clamp(-bound, bound) / bound)
    # Images in range, far from its border, are those without it.
    small = GaussianDenoiser((1, 2, 2), std=0.05)
    alone = sampler.model_copy(update={"guidance": sampler.guidance[1:]})
    bare = sampler.model_copy(update={"guidance": ()})
    assert torch.equal(*(generate(small, s, 0, range(4)) for s in (alone, bare)))


def test_what_a_page_adds_is_gone_after_it():
    """The tables are those of the project again once the fixture ends."""
    page = sections(PAGE.replace("midpoint", "halfway"))["A solver"]
    solvers = importlib.import_module("sampling.solvers.table").SOLVERS
    before = dict(solvers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sampling.solvers.halfway", SimpleNamespace(Midpoint=None))
        register(page.entries[0], patch)
        assert solvers.keys() - before.keys() == {"halfway"}
    assert solvers == before and "sampling.solvers.halfway" not in sys.modules
