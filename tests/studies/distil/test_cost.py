"""The cost of an arm's image of training beside the control's."""

import re

import pytest

from studies.distil.cost import main


def words(material) -> list[str]:
    return (
        f"--teacher {material.weights} --dataset {material.dataset} --reference "
        f"{material.reference} --params params.yaml --rounds 1"
    ).split()


def test_the_control_is_one_and_a_critic_costs_more(material, capsys):
    main([*words(material), "--arms", "matching"])
    ratios = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|", capsys.readouterr().out, re.MULTILINE))
    assert float(ratios["plain"]) == 1 and float(ratios["matching"]) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [(["--arms", "matchin"], "matchin"), (["--rounds", "0"], "at least 1")],
)
def test_bad_arguments_end_in_one_line(changes, message, material, capsys):
    with pytest.raises(SystemExit):
        main([*words(material), *changes])
    assert message in capsys.readouterr().err.splitlines()[-1]
