"""params.yaml: every problem at once, with its path, value and mend."""

import re
from pathlib import Path

import pytest
import yaml

from pipelines.params import check_params, load_params
from pipelines.settings.cross_checks import remarks
from pipelines.settings.yaml_file import ParamsError

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "presets" / "digits.yaml"


def edited(**sections):
    raw = yaml.safe_load(DIGITS.read_text())
    for section, changes in sections.items():
        if isinstance(changes, dict):
            raw[section] = {**raw[section], **changes}
        else:
            raw[section] = changes
    return raw


@pytest.mark.parametrize(
    "name",
    [
        *("digits", "fashion_mnist", "fashion_mnist_distil", "cifar10", "image_folder"),
        *("imagenet64", "latent512"),
    ],
)
def test_presets_load_and_name_every_knob(name):
    params = load_params(ROOT / "presets" / f"{name}.yaml")
    raw = yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text())
    assert set(raw) == set(type(params).model_fields)
    assert params.run_settings().total_steps >= params.ema.snapshots


def test_default_params_are_a_preset():
    assert load_params(ROOT / "params.yaml")


def test_cifar10_flips_and_digits_do_not():
    assert load_params(ROOT / "presets" / "cifar10.yaml").train.horizontal_flip
    assert not load_params(DIGITS).train.horizontal_flip


def test_every_problem_is_told_at_once():
    raw = edited(
        train={"lr": -1, "batch_size": "many"},
        model={"chanels": 3},
        dataset={"source": "digit"},
        sampling={"fast": {"solver": "huen"}},
        ema={"lengths": [0.1, 0.9]},
        seeed=3,
    )
    with pytest.raises(ParamsError) as caught:
        check_params(raw)
    text = str(caught.value)
    for part in (
        "has 7 problems",
        "train.lr: -1",
        'train.batch_size: "many"',
        "model.chanels",
        "did you mean 'channels'",
        'dataset.source: "digit"',
        "did you mean 'digits'?",
        'sampling.fast.solver: "huen": unknown solver',
        "did you mean 'heun'?",
        "ema.lengths[1]: 0.9",
        "seeed: unknown key: did you mean 'seed'",
    ):
        assert part in text, (part, text)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": {"resolution": 9}}, "dataset.resolution: 9 .* use 8 or 10"),
        ({"model": {"channel_mult": [1, 2, 2, 2]}}, r"blocks\[0\]: graph_conv .* one only"),
        ({"model": {"channels": 56}}, "channels_per_head: 32 makes 3 attention heads of the 112"),
        ({"cluster": {"storage": "gs://a/b"}}, "cluster.storage: .gs://a/b.: gs:// is not known"),
        ({"cluster": {"num_workers": [4, 2]}}, "num_workers: .4, 2. has its least above"),
        (
            {"structure": {"fakes": "deployed", "gradient_steps": 50}},
            "gradient_steps: 50 is more than the 8 evaluations",
        ),
        ({"structure": {"sigma_min": 0.7}}, "sigma_min 0.7 is above 0.5"),
        (
            {"structure": {"fakes": "onpolicy", "sampler": {"solver": "ddim", "steps": 1}}},
            "structure.sampler has a single step, so no noise level on the way",
        ),
        (
            {
                "model": {"class_conditional": False},
                "sampling": {"g": {"guidance": [{"weight": 2.0}]}},
                "samplers": ["g"],
            },
            r"sampling.g.guidance\[0\]: classifier_free needs labels, and model.class_conditional",
        ),
        (
            {"sampling": {"g": {"guidance": [{"kind": "gradient"}]}}, "samplers": ["g"]},
            r"sampling.g.guidance\[0\]: gradient needs a classifier",
        ),
        (
            {"sampling": {"g": {"guidance": [{"kind": "autoguidance"}]}}, "samplers": ["g"]},
            "autoguidance needs a guiding denoiser",
        ),
        (
            {
                "sampling": {"g": {"guidance": [{"kind": "autoguidance", "length": 0.03}]}},
                "samplers": ["g"],
            },
            r"guidance\[0\].length: 0.03 is not made: .* of 0.05, 0.07",
        ),
        (
            {
                "sampling": {
                    "g": {"guidance": [{"kind": "autoguidance", "weights": "outputs/ema/0.2"}]}
                },
                "samplers": ["g"],
            },
            r"guidance\[0\].weights: outputs/ema/0.2 is made by this very run",
        ),
        ({"train": {"batch_size": 127}}, "train.batch_size: 127 .* use 126 or 128"),
        ({"train": {"total_kimg": 1}}, "ema.snapshots: 16 .* 8 steps"),
        (
            {"train": {"sigma_bins": 16, "held_out_images": 10}},
            "train.sigma_bins: 16 noise levels do not share the 10 images .* at most 10 bins",
        ),
        ({"ema": {"snapshots": 1}}, "ema.snapshots: 1"),
        ({"ema": {"tracked": [0.1, 0.1]}}, "ema.tracked"),
        ({"ema": {"lengths": [0.05, 0.1, 0.10]}}, "ema.lengths: 0.1 is listed twice"),
        (
            {
                "sampling": {"g": {"guidance": [{"kind": "autoguidance", "length": 0.10000001}]}},
                "samplers": ["g"],
            },
            r"length: 0.10000001 is not made: .* of 0.05, 0.07, 0.1,",
        ),
        ({"samplers": ["nope"]}, "samplers: 'nope'"),
        ({"train": {"method": "denoise"}}, "train.method: 'denoise' is no method .*'denoising'"),
        (
            {"sampling": {"heun18": {"adapter": True}}},
            "heun18.adapter: true, but model.adapter_rank",
        ),
        ({"dataset": {"source": "image_folder"}}, "dataset: .*needs path"),
        ({"evaluation": {"extractor": "inception"}}, "inception-2015-12-05.pt"),
        ({"cluster": {"num_workers": [2, 3]}}, "multiple of 3 workers"),
        ({"structure": {"batch_size": 33}}, "structure.batch_size: 33"),
        (
            {
                "train": {"batch_size": 96},
                "structure": {"batch_size": 63},
                "cluster": {"num_workers": [2, 3]},
            },
            "structure.batch_size: 63 is not a multiple of 2 workers .* use 60 or 66",
        ),
        (
            {"model": {"structural_blocks": [{"kind": "self_attention", "heads": 5}]}},
            r"\[0\].heads",
        ),
    ],
)
def test_impossible_combinations(changes, told):
    with pytest.raises(ParamsError, match=told):
        check_params(edited(**changes))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"kind": "autogidance"},
            "[1].kind: \"autogidance\": unknown guidance kind 'autogidance': did you mean "
            "'autoguid",
        ),
        ({"wait": 2}, "[1].wait: 2: unknown key 'wait': did you mean 'weight'?"),
        ({"weight": -2}, "[1].weight: -2: input should be greater than or equal to 0"),
        (
            {"sigma_lo": 1},
            "[1].sigma_lo: 1: sigma_lo and sigma_hi belong to kind interval, not classifier_free: "
            "give them to an entry {kind: interval, ...} of its own",
        ),
        ({"kind": "interval"}, "[1]: this section: kind interval needs sigma_lo, sigma_hi or both"),
        (3, "[1]: 3: give a section such as {kind: classifier_free, ...}"),
    ],
)
def test_mistakes_in_guidance_stand_at_their_place(entry, told):
    with pytest.raises(ParamsError) as caught:
        check_params(edited(sampling={"g": {"guidance": [{"weight": 2.0}, entry]}}))
    assert f"sampling.g.guidance{told}" in str(caught.value)


def test_elastic_workers_and_scientific_numbers(tmp_path):
    path = tmp_path / "p.yaml"
    text = DIGITS.read_text().replace("num_workers: 2 ", "num_workers: [1, 2]")
    path.write_text(text.replace("  lr: 0.01\n", "  lr: 1e-2\n"))
    params = load_params(path)
    assert params.cluster.num_workers == (1, 2) and params.train.lr == 0.01


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 0\nseed: 1\n", "line 2.*given twice"),
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "must be a mapping"),
        ("seed: true\n", "seed: true"),
    ],
)
def test_files_that_are_no_params(tmp_path, text, told):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=told):
        load_params(path)


def test_missing_file():
    with pytest.raises(ParamsError, match=r"nowhere\.yaml cannot be read"):
        load_params("nowhere.yaml")


def test_params_are_frozen():
    params = load_params(DIGITS)
    with pytest.raises(ValueError, match="frozen"):
        params.train.lr = 1.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"model": {"attention_resolutions": [8, 16]}}, "no level is 16 pixels wide.* are 8, 4 "),
        ({"train": {"total_kimg": 50}}, "starts at 60 kimg .* training of 50 kimg has 0 plays"),
        ({"train": {"total_kimg": 62}}, "62 kimg has 4 plays: set train.total_kimg above 64.512, "),
        (
            {"train": {"total_kimg": 62}},
            r"or structure.start_kimg to at most 57.856, or structure.every to at most 1, or ",
        ),
        ({"train": {"total_kimg": 64.512}}, "has 8 plays"),
        ({"train": {"total_kimg": 64.512}, "structure": {"kind": "law"}}, None),  # no gate to open
        ({"train": {"total_kimg": 64.6}}, None),
        ({"train": {"total_kimg": 62}, "structure": {"start_kimg": 57.856}}, None),
        ({"train": {"total_kimg": 62}, "structure": {"start_kimg": 57.9}}, "has 8 plays"),
        ({"train": {"total_kimg": 62}, "structure": {"every": 1}}, None),
        ({"train": {"total_kimg": 62}, "structure": {"every": 2}}, "has 8 plays"),
        ({"train": {"total_kimg": 62}}, r"or structure.gate.min_plays to at most 3$"),
        ({"train": {"total_kimg": 62}, "structure": {"gate": {"min_plays": 3}}}, None),
        ({"train": {"total_kimg": 62}, "structure": {"gate": {"min_plays": 4}}}, "has 4 plays"),
        ({"train": {"total_kimg": 50}, "structure": {"kind": "none"}}, None),
        ({"structure": {"refresh_kimg": 2}}, "2 is over before the gate can open anew"),
        ({"structure": {"refresh_kimg": 2, "kind": "none"}}, None),
    ],
)
def test_what_runs_and_is_probably_not_meant_is_remarked(changes, told):
    found = remarks(check_params(edited(**changes)))
    assert (not found) if told is None else (len(found) == 1 and re.search(told, found[0]))
