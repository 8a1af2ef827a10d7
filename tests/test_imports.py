"""What is loaded to read settings and to show a command's --help: nothing slow.

Modules are counted rather than seconds, which depend on the machine and are printed by
`python -m benchmarks.run imports`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed
from benchmarks.imports import commands

ROOT = Path(__file__).resolve().parents[1]
SLOW = (
    "torch",
    "torch_geometric",
    "torchvision",
    "ray",
    "mlflow",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "optuna",
    "diffusers",
)
SETTINGS = (
    "dataset.config",
    "discriminators.config",
    "evaluation.config",
    "models.config",
    "sampling.config",
    "training.config",
    "training.run_settings",
    "training.students",
    "training.structure.config",
)
PARAMS = ("params.yaml", *sorted(f"presets/{path.name}" for path in ROOT.glob("presets/*.yaml")))
COMMANDS = commands(ROOT)
SOME = {
    "pipelines.sweep",
    "pipelines.upkeep.params_doc",
    "studies.idea",
    "studies.sampling",
    "benchmarks.step",
    "pipelines.upkeep.metric_doc",
}

# Params with every kind of sampling, and a game that plays one of them.
SAMPLING = {
    "sampling": {
        "explicit": {"grid": "explicit", "sigmas": [10.0, 1.0, 0.1]},
        "optimized": {"grid": "optimized", "solver": "unipc", "solver_options": {"order": 3}},
        "quadratic": {"grid": "quadratic", "grid_options": {"schedule": "cosine"}},
        "guided": {
            "solver": "dpmpp_2m",
            "guidance": [
                {"kind": "classifier_free", "weight": 2.0},
                {"kind": "interval", "sigma_lo": 0.1},
                {"kind": "autoguidance", "weight": 2.0, "length": 0.2},
            ],
        },
        "along": {"solver": "consistency", "guidance": [{"kind": "gradient", "weight": 1.0}]},
    },
    "samplers": ["explicit", "optimized", "quadratic", "guided"],
    "structure": {"fakes": "deployed", "sampler": {"solver": "ddim", "steps": 4}},
}

# Does one thing after another in one process, and tells after which of them a slow module is there.
SCRIPT = """
import contextlib, importlib, io, json, runpy, sys

slow, settings, params, sampling, commands = json.loads(sys.argv[1])
there, loaded = set(), {}

def note(what):
    loaded[what] = sorted(name for name in slow if name in sys.modules and name not in there)
    there.update(loaded[what])

note("python")
for module in settings:
    importlib.import_module(module)
    note(module)
from pipelines.params import check_params, load_params
note("pipelines.params")
for path in params:
    load_params(path)
    note(path)
check_params(sampling)
note("every kind of sampling")
for command in commands:
    sys.argv = [command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            runpy.run_module(command, run_name="__main__")
        except SystemExit as end:
            assert not end.code, (command, end.code)
    assert text.getvalue().startswith("usage:"), (command, text.getvalue())
    note(f"{command} --help")
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """{what was done: slow modules that were there after it and not before}."""
    given = json.dumps([SLOW, SETTINGS, PARAMS, SAMPLING, COMMANDS])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, given], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", SETTINGS)
def test_settings_load_nothing_slow(loaded, module):
    assert loaded["python"] == [] and loaded[module] == []


@pytest.mark.parametrize("what", ["pipelines.params", *PARAMS, "every kind of sampling"])
def test_reading_and_checking_params_loads_nothing_slow(loaded, what):
    assert len(PARAMS) > 3 and loaded[what] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_slow(loaded, command):
    assert loaded[f"{command} --help"] == []


def test_every_file_with_a_main_was_asked():
    assert set(COMMANDS) >= SOME
    with_main = {
        path.relative_to(ROOT)
        for folder in ("benchmarks", "pipelines", "studies")
        for path in (ROOT / folder).rglob("*.py")
        if "def main(" in path.read_text()
    }
    named = {".".join(path.with_suffix("").parts).removesuffix(".__main__") for path in with_main}
    assert named <= set(COMMANDS)
