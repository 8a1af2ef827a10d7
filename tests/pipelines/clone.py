"""A temporary clone of this checkout with tiny params, for tests that run real stages."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import filelock
import yaml

ROOT = Path(__file__).resolve().parents[2]

TINY = {
    "model": {"channels": 8, "attention_resolutions": [], "structural_blocks": []},
    "train": {
        "total_kimg": 0.512,
        "batch_size": 32,
        "lr_ramp_kimg": 0,
        "log_every_kimg": 0.064,
        "held_out_every_kimg": 0.128,
        "held_out_images": 32,
    },
    # the gate stays open, so that a game of a few plays leaves its mark
    "structure": {
        "start_kimg": 0.128,
        "every": 2,
        "width": 8,
        "k": 3,
        "lambda_0": 1.0,
        "lambda_cap": 100.0,
        "gate": {"chance_margin": 0.0, "min_plays": 1, "win_gap": 100.0, "max_worsening": 10.0},
    },
    "ema": {"snapshots": 4, "lengths": [0.05, 0.10]},
    "sampling": {"heun3": {"solver": "heun", "grid": "karras", "steps": 3}},
    "evaluation": {
        "num_images": 64,
        "kid_subsets": 5,
        "kid_subset_size": 30,
        "floor_draws": 3,
        "picture_images": 16,
    },
    "cluster": {"checkpoint_every_s": 0, "max_failures": 0},
    "tracking": {"sample_every_kimg": 0.256, "system_metrics": False},
}


def stages_run(output: str) -> set[str]:
    """Stages that DVC ran, or would run, by what it printed."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def empty_store() -> Path:
    """MLflow's store without a run, made once by all test processes."""
    path = Path(tempfile.gettempdir()) / f"empty-mlflow-{version('mlflow')}-{os.getuid()}.db"
    with filelock.FileLock(f"{path}.lock"):
        if not path.exists():
            from mlflow.tracking import MlflowClient

            half = path.with_suffix(".half")
            half.unlink(missing_ok=True)
            MlflowClient(f"sqlite:///{half}").search_experiments()
            half.rename(path)
    return path


class Clone:
    """A git and DVC checkout in a temporary folder; `run` runs a command in it.

    Args:
        cache: DVC's cache, which may be shared: what another clone computed from the same files and
            params is then taken from it.
        store: the tables of MLflow's store are there already, which saves the first stage seconds.
        sections: changes of params.yaml by section.
    """

    def __init__(self, folder: Path, cache: Path | None = None, store: bool = True, **sections):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        for name in filter(None, listed):
            if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for name in ("dvc.lock",):
            (folder / name).unlink(missing_ok=True)
        raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
        raw["samplers"] = ["heun3"]
        for section, changes in TINY.items():
            raw[section] = changes if section == "sampling" else {**raw[section], **changes}
        (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
        for section, changes in sections.items():
            self.edit(section, changes)
        if cache is not None:
            (folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
        if store:
            shutil.copyfile(empty_store(), folder / "mlflow.db")
        self.git("init", "-q")
        self.commit("start")

    def edit(self, section: str, changes) -> None:
        path = self.folder / "params.yaml"
        raw = yaml.safe_load(path.read_text())
        raw[section] = {**raw[section], **changes} if isinstance(changes, dict) else changes
        path.write_text(yaml.safe_dump(raw, sort_keys=False))

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git(
            "-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "-qm", message
        )

    def environment(self, **extra: str) -> dict[str, str]:
        bin_folder = str(Path(sys.executable).parent)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
        return (
            kept
            | {
                "PATH": bin_folder + os.pathsep + os.environ["PATH"],
                "GOMP_SPINCOUNT": "0",
                "DVC_NO_ANALYTICS": "1",
                "COLUMNS": "200",
                "OMP_NUM_THREADS": "1",
                "GIT_AUTHOR_NAME": "Test",
                "GIT_AUTHOR_EMAIL": "test@localhost",
                "GIT_COMMITTER_NAME": "Test",
                "GIT_COMMITTER_EMAIL": "test@localhost",
            }
            | extra
        )

    def run(self, *words: str, ok: bool = True, **extra: str) -> str:
        """Run to the end; returns what it printed. Fails the test on a non-zero exit if `ok`."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment(**extra),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode == 0) == ok, (
            f"{' '.join(words)} -> {done.returncode}\n{done.stdout}"
        )
        return done.stdout

    def start(self, *words: str, **extra: str) -> subprocess.Popen:
        """Start a command in a process group of its own, which a test may kill."""
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment(**extra),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
