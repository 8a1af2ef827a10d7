"""The study of discriminators as teachers: whom one follows back to where noise was added."""

import pandas as pd
import pytest

from studies.teacher import main


@pytest.fixture(scope="module")
def line(few_steps) -> list[str]:
    return few_steps({"bank_images": 400, "tangent_neighbours": 16, "tangent_dims": 6})


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
