"""The discriminator's study: an untrained denoiser is seen through, real images are not."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from studies.discriminator import main

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(scope="module")
def line(material, tmp_path_factory) -> list[str]:
    raw = yaml.safe_load(PARAMS.read_text())
    raw["structure"] |= {"width": 16, "batch_size": 32, "gamma": 0.1, "lr": 0.005}
    raw["sampling"] = {"few": {"solver": "ddim", "grid": "karras", "steps": 3}}
    raw["samplers"] = ["few"]
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return [str(material.weights), "--params", str(path), "--dataset", str(material.dataset)]


def test_tells_generated_images_and_not_real_ones(line, tmp_path, capsys):
    main([*line, "--sampler", "few", "--seeds", "0", "--steps", "24", "--images", "96",
          "--out", str(tmp_path)])  # fmt: skip
    table = pd.read_csv(tmp_path / "discriminator.csv")
    last = table[table.steps == 24].set_index(["kind", "subject"]).accuracy
    for kind in ("graph", "per_sample"):
        assert last[kind, "generated"] > 0.95
        assert abs(last[kind, "real images (floor)"] - 0.5) < 0.2
    assert (tmp_path / "discriminator.png").stat().st_size > 10_000
    assert "per_sample" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--sampler", "fast9"], ["--sampler", "few", "--kinds", "affinity"]]
)
def test_bad_arguments_end_in_one_line(line, wrong, capsys):
    with pytest.raises(SystemExit):
        main([*line, *wrong])
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
