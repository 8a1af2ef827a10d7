"""The study of discriminators as teachers: whom one follows back to where noise was added."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from studies.teacher import main

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(scope="module")
def line(material, tmp_path_factory) -> list[str]:
    raw = yaml.safe_load(PARAMS.read_text())
    raw["structure"] |= {"width": 16, "batch_size": 32, "gamma": 0.1, "lr": 0.005}
    raw["structure"] |= {"bank_images": 400, "tangent_neighbours": 16, "tangent_dims": 6}
    raw["sampling"] = {"few": {"solver": "ddim", "grid": "karras", "steps": 3}}
    raw["samplers"] = ["few"]
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return [str(material.weights), "--params", str(path), "--dataset", str(material.dataset)]


def test_the_residual_leads_back_and_random_edges_do_not(line, tmp_path, capsys):
    kinds = ("per_sample", "random", "tangent", "law")
    words = f"--sampler few --seeds 0 --steps 60 --moves 3 --images 96 --noise 0.5 --out {tmp_path}"
    main([*line, *words.split(), "--kinds", ",".join(kinds)])
    table = pd.read_csv(tmp_path / "teacher.csv")
    assert set(table.kind) == {*kinds, "real images (floor)", "nothing"}
    smeared = table[table.subject == "smeared"].set_index("kind")
    assert smeared.cosine["tangent"] > max(smeared.cosine[["per_sample", "random"]]) + 0.1
    assert smeared.lid_ratio["nothing"] > smeared.lid_ratio["real images (floor)"]
    assert smeared.lid_ratio["tangent"] < smeared.lid_ratio["nothing"], "followed, it comes down"
    assert pd.isna(smeared.accuracy["law"]) and smeared.accuracy["tangent"] > 0.55
    assert table[table.subject == "generated"].cosine.isna().all(), "nobody knows the way back"
    assert "| smeared | tangent |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sampler", "fast9"],
        ["--sampler", "few", "--kinds", "x"],
        ["--sampler", "few", "--noise", "0"],
    ],
)
def test_bad_arguments_end_in_one_line(line, wrong, capsys):
    with pytest.raises(SystemExit):
        main([*line, *wrong])
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
