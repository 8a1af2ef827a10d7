"""Names of files and items are those that DVC fills into dvc.yaml."""

from pathlib import Path

import pytest
import yaml
from dvc.parsing.interpolate import to_str

from pipelines.workspace.paths import EMA, EVALUATE, item_name, length_name

STAGE = yaml.safe_load((Path(__file__).parents[3] / "dvc.yaml").read_text())["stages"]["evaluate"]
LENGTHS = {"0.10": "0.1", "0.025": "0.025", "0.1111111": "0.1111111", "1.0e-5": "1e-05"}


@pytest.mark.parametrize(("written", "name"), [*LENGTHS.items(), ("0.10000001", "0.10000001")])
def test_names_are_exact_and_as_dvc_writes_them(written, name):
    length = yaml.safe_load(written)
    assert length_name(length) == name == to_str(length) and float(name) == length
    filled = [
        str(text).replace("${item.length}", to_str(length)).replace("${item.sampler}", "fast")
        for text in (STAGE["deps"][0], STAGE["outs"][0])
    ]
    assert filled[0] == str(EMA / f"{length_name(length)}.safetensors")
    assert filled[1] == str(EVALUATE / item_name(length, "fast"))
