"""The discriminator's study: an untrained denoiser is seen through, real images are not."""

import pandas as pd
import pytest

from studies.discriminator import main


@pytest.fixture(scope="module")
def line(few_steps) -> list[str]:
    return few_steps({"feature_sigmas": [0.05, 0.5]})


def test_tells_generated_images_and_not_real_ones(line, tmp_path, capsys):
    kinds = "per_sample,two_bank"
    words = f"--sampler few --seeds 0 --steps 24 --images 96 --out {tmp_path} --kinds {kinds}"
    main([*line, *words.split()])
    table = pd.read_csv(tmp_path / "discriminator.csv")
    last = table[table.steps == 24].set_index(["kind", "subject"]).accuracy
    for kind in kinds.split(","):
        assert last[kind, "generated"] > 0.95
        assert last[kind, "real images (floor)"] < 0.7  # no leak; 96 images scatter by 0.1
    assert (tmp_path / "discriminator.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "per_sample" in out
    # Psi shows images of 3 steps of an untrained denoiser as such, and real images as real.
    seen = {
        row.split(" | ")[1]: row.split(" | ")
        for row in out.splitlines()
        if row.startswith("| all |")
    }
    generated, floor = (float(seen[name][2]) for name in ("generated", "real images (floor)"))
    assert generated > 0.9 and abs(floor - 0.5) < 0.1


@pytest.mark.parametrize(
    "wrong", [["--sampler", "fast9"], ["--sampler", "few", "--kinds", "affinity"]]
)
def test_bad_arguments_end_in_one_line(line, wrong, capsys):
    with pytest.raises(SystemExit):
        main([*line, *wrong])
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
