"""The guidance study: one tiny run of the command over two EMA lengths."""

import pandas as pd
import pytest

from studies.guidance import main


def test_command_writes_table_and_heat_map(material, tmp_path):
    main(
        (
            f"--ema {material.ema} --reference {material.reference} --weights 1,2 "
            f"--images 32 --grid karras --steps 3 --out {tmp_path}"
        ).split()
    )
    table = pd.read_csv(tmp_path / "guidance.csv")
    assert list(table.length) == [0.05, 0.05, 0.1, 0.1] and set(table.weight) == {1, 2}
    # Both lengths hold the same weights here, so only the guidance weight may matter.
    kid = table.pivot(index="weight", columns="length", values="kid")
    assert (kid[0.05] == kid[0.1]).all() and kid[0.1].nunique() == 2
    assert {"fd", "conditional_accuracy"} <= set(table.columns)
    assert (tmp_path / "guidance.png").stat().st_size > 10_000
    assert "| weight | 0.05 | 0.1 |" in (tmp_path / "guidance.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [["--ema", "nowhere"], ["--kind", "autoguidance"], ["--interval", "1"], ["--solver", "heum"]],
)
def test_bad_arguments_end_in_one_line(arguments, material, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(
            [
                *f"--ema {material.ema} --reference {material.reference}".split(),
                *("--out", str(tmp_path / "out")),
                *arguments,
            ]
        )
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
