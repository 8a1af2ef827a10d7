"""docs/extending.md: its files, entries and values are taken from the page and run."""

import ast
import importlib
import importlib.util
import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml
from scipy.special import ndtr

from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from discriminators.config import DiscriminatorConfig
from discriminators.forms import make_form
from discriminators.losses import pair_accuracy
from evaluation import metric_table
from evaluation.config import EvaluationConfig
from evaluation.judge import judge
from evaluation.measures import measure
from evaluation.reference import Reference
from foundation.workers import World
from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from models.denoiser import Denoiser, describe, load_denoiser
from models.weights import save_weights
from pipelines.params import ParamsError, check_params
from pipelines.sweeps import quick_evaluation
from pipelines.sweeps.space import Sweep, SweepConfig
from sampling.generate import generate
from sampling.seeds import image_generators, image_noise
from training.batches import draw_batch
from training.events import Logged
from training.loop import train
from training.methods.build import build_method
from training.state.checkpoint import load_latest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = {
    "A solver",
    "A time grid",
    "A guidance",
    "A discriminator of structure",
    "A method of training",
    "A structural block",
    "A metric",
    "A source of images",
}
NO_LABELS = torch.full((64,), -1)


class Entry(NamedTuple):
    """A diff of the page: the file of a table, lines before the table, its head, lines inside."""

    path: str
    before: str
    head: str
    inside: str

    @property
    def table(self) -> str:
        return self.head.partition(":")[0]


class Section(NamedTuple):
    """What one section of the page adds."""

    path: str
    code: str
    entries: list[Entry]
    values: dict
    commands: str


def read_entry(diff: str) -> Entry:
    first, *lines = diff.splitlines()
    head = next(line[1:] for line in lines if not line.startswith("+"))
    place = lines.index(f" {head}")
    assert all(line.startswith("+") for line in lines[:place] + lines[place + 1 :]), diff
    before, inside = ("\n".join(x[1:] for x in p) for p in (lines[:place], lines[place + 1 :]))
    return Entry(first.removeprefix("--- "), before, head, inside)


def sections(page: str) -> dict[str, Section]:
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        blocks: dict[str, list[str]] = {}
        for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            blocks.setdefault(kind, []).append(text)
        (code,), (values,), (commands,) = (blocks[kind] for kind in ("python", "yaml", "bash"))
        entries = [read_entry(text) for text in blocks["diff"]]
        path = code.partition("\n")[0].removeprefix("# ")
        title = part.partition("\n")[0]
        found[title] = Section(path, code, entries, yaml.safe_load(values), commands)
    return found


FOUND = sections(PAGE)


def load(section: Section, folder: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """The section's file as a module under its own name, though it lies in `folder`."""
    file = folder / section.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(section.code)
    name = section.path.removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def register(entry: Entry, patch: pytest.MonkeyPatch) -> None:
    """What the entry's lines do to the module of the table, which they leave as they found it."""
    module = importlib.import_module(entry.path.removesuffix(".py").replace("/", "."))
    scope = dict(vars(module))
    exec(entry.before, scope)
    for name, value in eval(f"{{{entry.inside}}}", scope).items():
        patch.setitem(getattr(module, entry.table), name, value)
        if module is metric_table:  # whose TABLE is made of METRICS when it is imported
            patch.setitem(metric_table.TABLE, name, value)


@pytest.fixture(scope="module", autouse=True)
def extended(tmp_path_factory):
    """Everything on the page is in place; the modules by section."""
    folder = tmp_path_factory.mktemp("extended")
    with pytest.MonkeyPatch.context() as patch:
        modules = {title: load(section, folder, patch) for title, section in FOUND.items()}
        for section in FOUND.values():
            for entry in section.entries:
                register(entry, patch)
        yield modules


def merged(base: dict, changes: dict) -> dict:
    return base | {
        key: merged(base[key], value) if isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }


def params(title: str, **changes):
    """The digits preset with the section's values, checked as params.yaml is."""
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    return check_params(merged(merged(raw, FOUND[title].values), changes))


def the_sampler(title: str):
    found = params(title)
    (name,) = found.samplers
    return found.sampling[name]


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


# Training on the digits.


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(params("A solver").dataset, folder)
    return ImageDataset(folder)


def short(title: str, **changes):
    """Eight steps of a tiny network, and of the game each second one from the third on."""
    tiny = {
        "model": {
            "channels": 8,
            "attention_resolutions": [],
            "blocks": 1,
            "structural_blocks": [],
        },
        "train": {
            "total_kimg": 0.128,
            "batch_size": 16,
            "lr": 0.003,
            "lr_ramp_kimg": 0,
            "log_every_kimg": 0.016,
            "held_out_images": 16,
        },
        "structure": {
            "start_kimg": 0.03,
            "every": 2,
            "width": 8,
            "statistics_images": 32,
            "batch_size": 16,
            "lr": 0.01,
            "gate": {
                "chance_margin": 0.0,
                "min_plays": 1,
                "smoothing": 0.0,
                "max_worsening": 100.0,
                "win_gap": 1e6,
            },
        },
        "ema": {"snapshots": 2},
    }
    run = params(title, **merged(tiny, changes)).run_settings()
    return run.model_copy(update={"sample_every_kimg": None})


def offset_sets(seed):
    """Fakes share an offset that differs from set to set; one by one they are as the reals are."""
    draw = torch.Generator().manual_seed(seed)
    rest = torch.randn(2, 64, 4, generator=draw, dtype=torch.float64)
    offset = torch.randn(4, generator=draw, dtype=torch.float64)
    return rest[0], 0.6 * rest[1] + 0.8 * offset


def test_the_discriminator_sees_what_no_single_sample_shows(extended):
    moments = extended["A discriminator of structure"].MomentsDiscriminator

    class Alone(moments):
        """Sabotage: each sample beside moments that are the same for all sets."""

        def forward(self, features, groups):
            h = self.input(features)
            return self.head(torch.cat([h, h, torch.zeros_like(h)], 1))[:, 0]

    config = DiscriminatorConfig(kind=params("A discriminator of structure").structure.kind)
    torch.manual_seed(0)
    accuracy = []
    for form in (make_form(config, num_features=4, seed=0), Alone(4, config)):
        form.double()
        optimizer = torch.optim.Adam(form.parameters(), lr=0.01, betas=(0.0, 0.99))
        for step in range(40):
            loss = form.loss_d(*offset_sets(step), NO_LABELS)
            optimizer.zero_grad()
            (loss.adversarial + loss.penalty).backward()
            optimizer.step()
        with torch.no_grad():
            logits = [[form(x, NO_LABELS) for x in offset_sets(1000 + n)] for n in range(20)]
        accuracy.append(float(np.mean([float(pair_accuracy(*x, NO_LABELS)) for x in logits])))
    assert accuracy[0] > 0.9 and abs(accuracy[1] - 0.5) < 0.15, accuracy


def test_the_discriminator_plays_and_moves_the_denoiser(digits, tmp_path):
    played = short("A discriminator of structure")
    control = short("A discriminator of structure", structure={"kind": "none"})
    for name, settings in (("played", played), ("control", control)):
        train(settings, digits, tmp_path / name, World())
    (one, plain), (other, _) = (
        load_latest(tmp_path / name / "checkpoints", print) for name in ("played", "control")
    )
    assert plain["method"]["plays"] == 3 and plain["method"]["game"]["gate"]["open_plays"] >= 1
    weight = "players.denoiser.network.unet.output.weight"
    assert not torch.equal(one[weight], other[weight])
    assert any("form.head" in name for name in one)


def test_the_method_trains_by_its_own_loss(digits, tmp_path):
    settings = short("A method of training", structure={"kind": "none"}, train={"total_kimg": 0.8})
    method = build_method(settings, digits, World())
    denoiser = method.players["denoiser"].network
    sums = method.accumulate("denoiser", range(16))
    batch = draw_batch(settings, digits, denoiser.codec, range(16), torch.device("cpu"))
    sigma = batch.sigma[:, None, None, None]
    with torch.no_grad():
        clean = denoiser(batch.images + sigma * batch.noise, batch.sigma, batch.labels)
        u = denoiser.log_variance(batch.sigma)
    scaled = (clean - batch.images) * (sigma**2 + 0.5**2).sqrt() / (sigma * 0.5)
    error = scaled.flatten(1).norm(dim=1) / math.sqrt(64)
    expected = ((error**2 + 0.03**2).sqrt() - 0.03) / u.exp() + u
    assert float(sums["loss"]) == pytest.approx(float(expected.sum()), rel=1e-5)
    assert float(sums["denoising_loss"]) == pytest.approx(float((error**2).sum()), rel=1e-5)
    assert denoiser.output_conv_weight.grad is not None

    events = []
    train(settings, digits, tmp_path, World(), events.append)
    losses = [e.metrics["denoising_loss"] for e in events if isinstance(e, Logged)]
    assert len(losses) == 50 and np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10]), losses


# The network, the judgement, the data.


def test_the_block_stands_in_a_denoiser(extended, tmp_path):
    config = params("A structural block", model={"channels": 32}).model
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), 10, config)
    block = denoiser.unet.structure[0]
    assert isinstance(block, extended["A structural block"].Pooling) and block.size == 5
    x = torch.randn(2, 64, 4, 4)
    rows = [
        [x[:, :, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3].mean((2, 3)) for j in range(4)]
        for i in range(4)
    ]
    difference = torch.stack([torch.stack(row, -1) for row in rows], -2) - x
    weight = block.project.weight[:, :, 0, 0]
    weight = weight / weight.norm(dim=1, keepdim=True)
    unit = difference / difference.square().mean(1, keepdim=True).sqrt()
    update = torch.einsum("oc,bchw->bohw", weight, unit)
    torch.testing.assert_close(
        block(x), (0.7 * x + 0.3 * update) / math.hypot(0.7, 0.3), rtol=1e-3, atol=1e-3
    )
    torch.nn.init.ones_(denoiser.unet.output_gain)
    noisy = torch.randn(2, 1, 8, 8)
    clean = denoiser(noisy, torch.ones(2), torch.tensor([3, -1]))
    clean.square().sum().backward()
    assert clean.shape == noisy.shape and float(block.project.weight.grad.abs().sum()) > 0
    save_weights(tmp_path / "d.safetensors", denoiser.state_dict(), describe(denoiser))
    again = load_denoiser(tmp_path / "d.safetensors")
    assert again.config == config
    torch.testing.assert_close(again(noisy, torch.ones(2), torch.tensor([3, -1])), clean.detach())


class Pixels:
    """An extractor whose features are the pixels."""

    def features(self, images, batch_size, progress=None):
        return images.reshape(len(images), -1).astype(np.float32) / 255


def test_the_metric_is_judged_beside_its_floor(digits):
    images = np.asarray(digits.images)
    features = Pixels().features(images, 0)
    train_features = features[digits.train_indices]
    reference = Reference(
        extractor=Pixels(),
        classifier=None,
        train_features=train_features,
        held_out_features=features[digits.held_out_indices],
        train_mean=train_features.mean(0).astype(np.float64),
        train_cov=np.cov(train_features.T).astype(np.float64),
        manifest={
            "metric_name": "FD-Pixels",
            "num_features": 64,
            "protocol": {},
            "num_train": 0,
            "num_held_out": 0,
            "dataset_hash": "",
        },
    )
    config = EvaluationConfig(floor_draws=4, kid_subsets=5)
    real = images[digits.train_indices[::6]]
    good, dark = (
        judge(x, None, reference, config, seed=0)["metrics"]["sliced_w1"]
        for x in (real, (real * 0.8).astype(np.uint8))
    )
    assert good["floor"] == dark["floor"] > 0 and good["floor_std"] > 0
    assert abs(good["value"] - good["floor"]) < 4 * good["floor_std"]
    assert dark["value"] > dark["floor"] + 8 * dark["floor_std"]

    # Along one direction the distance of shifted points is the shift; in the plane 2 / pi of it.
    rng = np.random.default_rng(0)
    for size, share, within in ((1, 1.0, 1e-6), (2, 2 / math.pi, 0.1)):
        points = rng.normal(size=(50, size))
        moved = points + 3.0 * np.eye(size)[0]
        found = measure(points, moved, 1, config, ["sliced_w1"])
        assert found == {"sliced_w1": pytest.approx(3.0 * share, rel=within)}
    row = metric_table.metric_entry("sliced_w1")
    assert row.title == "Sliced W1" and row.better == "down"
    assert "sliced_w1" in metric_table.shown("tile")


def test_a_sweep_can_be_judged_by_the_metric():
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    space = {"train.lr": {"loguniform": [0.001, 0.1]}}
    sweep = Sweep(SweepConfig(name="a", space=space, **FOUND["A metric"].values), raw)
    assert (sweep.objective, sweep.mode) == ("sliced_w1", "min")
    assert "sliced_w1" in quick_evaluation._measured()


def test_the_source_is_prepared(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "arrays"
    folder.mkdir()
    grey = {name: rng.integers(0, 256, (30, 8, 8), dtype=np.uint8) for name in ("cats", "ants")}
    for name, pictures in grey.items():
        np.save(folder / f"{name}.npy", pictures)
    config = params("A source of images").dataset.model_copy(update={"path": str(folder)})
    manifest = prepare_dataset(config, tmp_path / "out")
    dataset = ImageDataset(tmp_path / "out")
    assert manifest["label_names"] == ["ants", "cats"] and manifest["source"] == "npy_folder"
    expected = np.concatenate([grey["ants"], grey["cats"]])[..., None]
    assert np.array_equal(dataset.images, expected)
    assert np.array_equal(dataset.labels, [0] * 30 + [1] * 30)
    np.save(folder / "cats.npy", np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match=r"cats\.npy is float64 \[3, 8, 8\]: save uint8"):
        prepare_dataset(config, tmp_path / "out")


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
