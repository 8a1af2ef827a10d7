"""The study of students: a tiny run of the command, twice; its rows and its table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from studies.distil import snapshots, unit
from studies.distil.__main__ import main
from studies.distil.arms import ARMS, CONTROL, FEW
from studies.distil.report import table
from training.students import STUDENTS

ROOT = Path(__file__).parents[3]
MODEL = {"channels": 8, "blocks": 1, "attention_resolutions": [], "structural_blocks": []}


def test_levels_fall_and_every_arm_is_judged_at_levels_it_was_trained_at():
    for count, levels in FEW.items():
        assert len(levels) == count and list(levels) == sorted(levels, reverse=True)
    for arm in ARMS.values():
        if arm.kind == CONTROL:
            continue
        start = arm.changes.get("start", (80.0,))
        for count in arm.evaluations:
            assert arm.kind == "consistency" or FEW[count] == start


@pytest.fixture
def words(material, tmp_path):
    raw = yaml.safe_load((ROOT / "presets" / "digits.yaml").read_text())
    raw["model"] |= MODEL
    raw["evaluation"] |= {"kid_subsets": 5, "kid_subset_size": 30, "floor_draws": 2}
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(raw))
    return [
        *("--teacher", str(material.weights), "--params", str(params)),
        *("--dataset", str(material.dataset), "--reference", str(material.reference)),
        *("--images", "64", "--kimg", "1", "--lr", "0.001", "--seeds", "20,21"),
        *("--work", str(tmp_path / "work"), "--rows", str(tmp_path / "rows")),
    ]


@pytest.mark.timeout(300)
def test_units_are_rows_and_rows_that_stand_are_kept(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([*words, "--arms", "matching,consistency"])
    shown = capsys.readouterr().out
    rows = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "rows").glob("*.json")}
    assert {name.split("-")[0] for name in rows} == {"teacher", "matching", "consistency"}
    trained = rows["consistency-21-1-0.001"]
    assert set(trained["metrics"]) == {"1", "2", "4"} and trained["processor_seconds"] > 0
    assert trained["metrics"]["1"]["kid"]["floor"] is not None
    assert trained["metrics"]["1"]["nearest_train"]["floor"] > 0
    assert "| consistency | 2 | 1 | 0.001 | 2 |" in shown and "±" in shown
    assert "| teacher, heun-35 | 35 |" in shown and "real images (floor)" in shown
    assert (tmp_path / "work" / "pictures" / "matching-20-1-0.001-1.png").is_file()
    # The same command computes nothing again, and another teacher everything.
    monkeypatch.setattr(unit, "train", None)
    monkeypatch.setattr(unit, "judged_images", None)
    main([*words, "--arms", "matching,consistency"])
    assert capsys.readouterr().out == table(tmp_path / "rows") + "\n"
    changed = [*words, "--arms", "matching", "--images", "65"]
    with pytest.raises(TypeError):
        main(changed)


@pytest.mark.timeout(300)
def test_controls_train_the_teacher_on_and_a_variant_is_a_row_of_its_own(
    words, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = [*words, "--seeds", "20"]
    main([*words, "--arms", "plain"])
    main([*words, "--arms", "matching", "--set", "critic_steps=2"])
    rows = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "rows").glob("*.json")}
    assert set(rows["plain-20-1-0.001"]["metrics"]) == {"1", "2", "4"}
    assert rows["matching-20-1-0.001-critic_steps=2"]["variant"] == "critic_steps=2"
    assert "| matching (critic_steps=2) | 1 | 1 | 0.001 | 1 |" in capsys.readouterr().out


def test_a_game_of_the_teacher_is_played_and_judged_upon_one_sampler():
    for name in ("game_1", "game_2", "game_4"):
        arm = ARMS[name]
        assert arm.sampler(arm.evaluations[0]).adapter
        assert arm.sampler(arm.evaluations[0]).nfe == arm.evaluations[0] == int(name[-1])
    assert not ARMS["plain"].sampler(4).adapter


def test_a_setting_that_is_none_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--arms", "matching", "--set", "critic_steps"])
    assert "--set critic_steps: give KEY=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("consistency", {"rank": 4}), ("distribution_matching", {"adversarial": 0.1, "rank": 4})],
)
def test_settings_that_came_later_leave_rows_as_they_are_at_their_default(kind, changes):
    """The name of a row of before depends on none of them; a row with one has another name."""
    student = STUDENTS[kind](samplers=("student",))
    assert all(any(name in s.model_fields for s in STUDENTS.values()) for name in unit.LATER)
    plain = unit.without_later(student, student.model_dump(mode="json"))
    assert not set(unit.LATER) & set(plain) and plain["kind"] == kind
    changed = student.model_copy(update=changes)
    assert unit.without_later(changed, changed.model_dump(mode="json")) == plain | changes


def test_unknown_arms_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--arms", "matchin"])
    assert "there are matching" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_a_snapshot_is_what_a_run_of_its_length_gives(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, name = tmp_path / "rows", "matching-21-1.024-0.001.json"
    main([*words, "--seeds", "21", "--arms", "matching", "--kimg", "1.024"])
    short = json.loads((rows / name).read_text())["metrics"]
    (rows / name).unlink()
    monkeypatch.setitem(ARMS, "matching", replace(ARMS["matching"], kimg=4.096, lr=0.001))
    main([*words, "--seeds", "21", "--arms", "matching", "--kimg", "4.096"])
    own = [*words, "--seeds", "21", "--kimg", "1.024"]
    del own[own.index("--lr") : own.index("--lr") + 2]
    snapshots.main(own)
    assert json.loads((rows / name).read_text())["metrics"] == short
    monkeypatch.setattr(unit, "judged", None)
    snapshots.main(own)
    with pytest.raises(SystemExit):
        snapshots.main([*own, "--arms", "consistency"])
    assert "depends on its length" in capsys.readouterr().err
