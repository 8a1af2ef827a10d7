"""The commands of docs/tutorial.md, as they stand there, in a clone with tiny settings."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines.params import load_params

sys.path.insert(0, str(Path(__file__).parent))
from clone import ROOT, TINY, Clone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NOT_RUN = {
    "git clone": "the clone is there",
    "make repro": "it installs; what it runs then is run here",
    "make ui": "it serves until it is stopped (test_ui.py)",
    "source": "the environment of the tests is used",
    "python -m pipelines.replicate": "five seeds (test_replicate.py)",
    "python -m pipelines.sweep": "a whole sweep (test_sweep.py)",
    "export RAY_AUTH_MODE": "a cluster",
    "ray start": "a cluster",
}


def commands() -> dict[str, list[str]]:
    """{heading: commands of its bash blocks}, without remarks."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"\n(?=## )", (ROOT / "docs" / "tutorial.md").read_text()):
        heading = part.splitlines()[0].removeprefix("## ").partition(". ")[2]
        for block in re.findall(r"```bash\n(.*?)```", part, re.DOTALL):
            lines = [line.partition(" #")[0].strip() for line in block.splitlines()]
            found.setdefault(heading, []).extend(filter(None, lines))
    return found


def runs(line: str) -> bool:
    return not line.startswith(tuple(NOT_RUN))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """With a cache of its own: MLflow knows no run of what DVC takes from a shared one."""
    clone = Clone(tmp_path_factory.mktemp("tutorial"), cluster={"num_workers": 0})
    clone.run("python", "-m", "pipelines.doctor", "--quick")
    clone.run("dvc", "repro")
    return clone


def shell(clone: Clone, line: str) -> str:
    return clone.run("bash", "-c", f"set -e; {line}")


def test_every_section_with_commands_is_known():
    assert list(commands()) == [
        *("The first run", "The runs", "A comparison", "A sweep", "Your own images"),
        *("Room on the disk", "A GPU node", "A cluster"),
    ]
    for heading in ("The first run", "The runs", "A sweep", "A GPU node"):
        assert not list(filter(runs, commands()[heading])), heading


def test_a_comparison(clone):
    said = {}
    for name in ("holiday", "images"):
        (clone.folder / name).mkdir()
        (clone.folder / name / "a.png").write_bytes(b"")
    for line in filter(runs, commands()["A comparison"]):
        match = re.fullmatch(r"(python -m pipelines\.compare) \w{4} \w{4}", line)
        if match:  # the tutorial's own fingerprints
            found = re.findall(r" s0 .*? ([0-9a-f]{4})\b", said["python -m pipelines.compare"])
            line = f"{match[1]} {' '.join(dict.fromkeys(found))}"
        said[line] = shell(clone, line)
        if line.startswith("git add"):  # all that DVC needs, and no image of the user's
            assert shell(clone, "git status --porcelain -uno") == ""
            tracked = shell(clone, "git ls-files").split()
            assert "dvc.lock" in tracked and "reports/metrics.json" in tracked
            assert not {"holiday/a.png", "images/a.png"} & set(tracked)
        if line.startswith("dvc exp run"):
            shell(clone, "git checkout . && dvc checkout")  # as the text says
            assert "up to date" in clone.run("dvc", "status")
    shown = json.loads(clone.run("dvc", "exp", "show", "--json"))
    names = [e.get("name") for commit in shown for e in commit.get("experiments") or []]
    assert "control" in names
    assert "fd.value" in said["dvc metrics diff HEAD control"]
    page = (clone.folder / "dvc_plots" / "index.html").read_text()
    assert "Denoising loss" in page and "FD against EMA length" in page
    compared = next(text for line, text in said.items() if re.search(r"compare \w{4} \w{4}", line))
    assert "structure.kind" in compared and "KID" in compared
    for name in ("compare.png", "compare.html"):
        assert (clone.folder / "reports" / "compare" / name).stat().st_size > 10_000


def test_room_on_the_disk(clone):
    (line,) = commands()["Room on the disk"]
    said = shell(clone, line)
    assert ".runs" in said and (clone.folder / "outputs" / "ema").is_dir()


def test_a_game_for_a_sampler_of_few_steps(clone, monkeypatch):
    """Its settings, laid over those of the digits and the preset's samplers, fit each other."""
    (copy,) = [line for line in commands()["Your own images"] if line.startswith("cp ")]
    shell(clone, copy)
    text = (ROOT / "docs" / "tutorial.md").read_text().partition("### A game for a sampler")[2]
    block = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    few = yaml.safe_load((ROOT / "presets" / "fashion_mnist.yaml").read_text())["sampling"]
    raw["sampling"] |= {name: few[name] for name in ("few5", "few5_game")}
    for section, changes in block.items():
        raw[section] = {**raw[section], **changes} if isinstance(changes, dict) else changes
    (clone.folder / "game.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(clone.folder)
    params = load_params("game.yaml")
    assert params.structure.fakes == "deployed" and params.samplers[2] == "few5_game"
    assert params.run_settings().train.init_from == "base.safetensors"


def test_your_own_images(clone, tmp_path):
    for index in range(24):
        folder = tmp_path / "photos" / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    shell(clone, "mv params.yaml my_params.yaml")  # as the text says
    first, *others = filter(runs, commands()["Your own images"])
    shell(clone, first)
    shutil.rmtree(clone.folder / "images", ignore_errors=True)  # of the comparison's test
    lost = clone.run("python", "-m", "pipelines.doctor", ok=False)
    assert "dataset.path" in lost and "Traceback" not in lost
    clone.edit("dataset", {"path": str(tmp_path / "photos")})
    for section in ("model", "train"):
        clone.edit(section, TINY[section])
    said = [shell(clone, line) for line in others if not line.startswith("cp ")]
    assert "images of each class: cat (12), dog (12)" in said[-1]
    assert Image.open(clone.folder / "outputs" / "dataset" / "sheet.png").size[0] > 100
