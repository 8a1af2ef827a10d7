"""The option --minutes of both studies."""

from types import SimpleNamespace

import pytest

from studies.emoji import latents, unit, words
from studies.staged import Limit, OutOfMinutes


@pytest.mark.parametrize("study", [latents, words])
@pytest.mark.parametrize("asked", [None, 7])
def test_a_unit_out_of_minutes_ends_the_command_with_one_line(
    study, asked, tmp_path, monkeypatch, capsys
):
    def out_of_minutes(given, *_, **__):
        assert given.minutes == (asked or 45)
        Limit(given.minutes, since=float("-inf")).check("train")

    monkeypatch.setattr(study, "unit", out_of_minutes)
    minutes = ["--minutes", str(asked)] if asked else []
    with pytest.raises(SystemExit) as stop:
        study.main(["--work", str(tmp_path), "--rows", str(tmp_path), *minutes])
    said = capsys.readouterr()
    assert stop.value.code == 1 and not said.out and said.err.count("\n") == 1
    assert said.err.startswith("stopped before train after")
    assert said.err.endswith(f"--minutes {asked or 45}: the same command goes on\n")


@pytest.mark.parametrize("study", [latents, words])
def test_no_minutes_at_all_are_refused(study, capsys):
    with pytest.raises(SystemExit):
        study.main(["--minutes", "0"])
    assert "--minutes: 0 is not above 0" in capsys.readouterr().err


def test_the_minutes_of_a_unit_hold_for_all_its_stages_and_begin_anew_with_the_next(
    tmp_path, monkeypatch
):
    limits = []

    def run_stages(folder, params, commands, given=None, limit=None):
        limits.append(limit)
        return dict.fromkeys(commands, 2.0)

    monkeypatch.setattr(unit, "run_stages", run_stages)
    monkeypatch.setattr(unit, "ImageDataset", lambda _: SimpleNamespace(content_hash="0"))
    given = unit.Given(words.COMMON, tmp_path / "work", tmp_path / "rows", 7)
    for seed in (21, 22):
        row = unit.unit(given, "words", words.ARMS["words"], seed, lambda *_: {}, evaluated=False)
        assert row["processor_seconds"] == dict.fromkeys(unit.TRAINED, 2.0)
    prepare, train, next_prepare, _ = limits
    assert prepare is train and prepare.minutes == 7 and next_prepare.since > prepare.since
    with pytest.raises(OutOfMinutes):
        Limit(7, since=prepare.since - 421).check("train")
