import json

import pytest
import yaml

from studies.staged import ROOT, StageError, run_stages


def test_a_stage_that_ended_well_is_not_run_again_and_one_that_failed_is(tmp_path, capfd):
    params = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    seconds = run_stages(tmp_path, params, ["kinds", "latents.encode"])
    assert set(seconds) == {"kinds", "latents.encode"} and min(seconds.values()) > 0
    assert json.loads((tmp_path / "outputs/latents/latents.json").read_text()) == {"kind": "none"}
    (tmp_path / "outputs/latents/latents.json").unlink()
    assert run_stages(tmp_path, params, ["latents.encode"]) == seconds
    assert not (tmp_path / "outputs/latents/latents.json").exists()
    for _ in range(2):
        with pytest.raises(StageError, match=r"pipelines\.reference failed"):
            run_stages(tmp_path, params, ["reference"])
        assert "error: " in capfd.readouterr().err


def test_results_made_elsewhere_are_linked_to(tmp_path):
    (tmp_path / "shared").mkdir()
    run_stages(tmp_path / "run", {}, [], {"dataset": tmp_path / "shared"})
    assert (tmp_path / "run/outputs/dataset").resolve() == tmp_path / "shared"
