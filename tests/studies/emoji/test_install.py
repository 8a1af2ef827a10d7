import io
import json
import tarfile

import pytest

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from studies.emoji import install
from studies.emoji.names import TONES


@pytest.fixture
def packages(tmp_path, png_bytes):
    """The two archives of npm, with six emoji that have skin tones and two that have none."""
    codes = [f"1F{i}" for i in range(6)]
    pictures = [
        {
            "unified": code,
            "image": f"{code}.png",
            "category": "People & Body",
            "skin_variations": {
                tone: {"unified": f"{code}-{tone}", "image": f"{code}-{tone}.png"} for tone in TONES
            },
        }
        for code in codes
    ]
    pictures += [{"unified": c, "image": f"{c}.png", "category": "Flags"} for c in ("2A", "2B")]
    names = [
        {
            "hexcode": code,
            "label": f"thing {code}",
            "skins": [
                {"hexcode": f"{code}-{t}", "label": f"thing {code}: {TONES[t]}"} for t in TONES
            ],
        }
        for code in codes
    ]
    names += [{"hexcode": code, "label": f"flag {code}"} for code in ("2A", "2B")]
    files = {"emoji.json": json.dumps(pictures).encode()}
    for one in pictures:
        for picture in (one, *one.get("skin_variations", {}).values()):
            files[f"img/twitter/64/{picture['image']}"] = png_bytes(len(files))
    folder = tmp_path / "emoji" / "packages"
    folder.mkdir(parents=True)
    for spec, content in (
        (install.PICTURES, files),
        (install.NAMES, {"en/data.json": json.dumps(names).encode()}),
    ):
        with tarfile.open(folder / f"{spec.replace('@', '-')}.tgz", "w:gz") as archive:
            for path, data in content.items():
                info = tarfile.TarInfo(f"package/{path}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return tmp_path / "emoji"


def test_what_is_written_prepares_as_captioned_pictures(packages, tmp_path, capsys):
    install.main(["--out", str(packages)])
    assert "38 pictures" in capsys.readouterr().out
    assert len(list((packages / "all").rglob("*.png"))) == 38
    words = json.loads((packages / "words.json").read_text())
    assert len(words["held_out"]) == 6 and len(words["train"]) == 30
    seen = {path.name for path in (packages / "tones").rglob("*.png")}
    assert seen == {one["file"] for one in words["train"]}
    assert not seen & {path.name for path in (packages / "held_out").rglob("*.png")}
    config = DatasetConfig(
        source="image_folder",
        path=str(packages / "tones"),
        resolution=16,
        captions={"kind": "table", "file": "captions.csv"},
    )
    prepare_dataset(config, tmp_path / "dataset")
    dataset = ImageDataset(tmp_path / "dataset")
    assert len(dataset) == 30
    assert set(dataset.label_names) == {one["text"] for one in words["train"]}


def test_a_missing_program_and_a_failing_one_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit):
        install.main(["--out", str(tmp_path / "out")])
    assert "npm is not installed; this needs npm (Node.js)" in capsys.readouterr().err
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho 'npm error 404 not found' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SystemExit):
        install.main(["--out", str(tmp_path / "out")])
    assert "npm error 404 not found" in capsys.readouterr().err
