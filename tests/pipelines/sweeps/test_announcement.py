"""What a sweep prints at its end."""

import pytest

from pipelines.sweeps.announcement import announce, difference
from pipelines.sweeps.report import write_report
from pipelines.tracking.live_run import StageRun


@pytest.fixture
def said(tried, tmp_path, capsys, monkeypatch):
    """said(): all that is printed for the trials so far, on a screen of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run():
        out = tmp_path / "out"
        announce(
            tried.sweep, tried.record, out, write_report(tried.sweep, tried.record, out), StageRun()
        )
        return capsys.readouterr().out

    return run


def test_how_the_best_differs_and_how_to_use_it(tried, said, tmp_path):
    for number, (lr, channels) in enumerate([(0.01, 32), (0.02, 32), (0.03, 16)]):
        tried.begin(number, lr, channels)
        for nimg in (10_016, 20_032, 40_064):
            tried.report(number, nimg, abs(lr - 0.02) + 0.25)
        tried.record.ended(f"t{number}")
    lines = said().splitlines()
    own = "params.yaml's own values of the keys that vary: kid 0.26 after 40.064 kimg"
    assert f"best: trial 1, kid 0.25 ({own})" in lines
    at = lines.index("it differs from params.yaml in:")
    assert lines[at + 1 : at + 3] == [
        "  train.total_kimg  120 -> 40  (in all trials)",
        "  train.lr          0.01 -> 0.02",
    ]
    assert "importance.png is not there: it takes 4 judged trials, there are 3" in lines
    assert "  dvc exp run -S train.total_kimg=40 -S train.lr=0.02 -S model.channels=32" in lines
    assert f"  cp {tmp_path / 'out'}/best_params.yaml params.yaml" in lines


def test_trials_that_nothing_tells_apart_have_no_best(tried, said):
    for number, lr in enumerate([0.01, 0.02]):
        tried.begin(number, lr)
        for nimg in (10_016, 20_032, 40_064):
            tried.report(number, nimg, 0.25)
        tried.record.ended(f"t{number}")
    text = said()
    assert "all 2 trials have the same kid at the first rung: what varied changed nothing" in text
    assert "trial 0, kid 0.25, which has params.yaml's own values of the keys that vary\n" in text
    assert text.splitlines()[0].strip() == "sweep s: best first"
    tried.begin(2, 0.03)
    tried.report(2, 10_016, 0.2)
    tried.record.ended("t2")
    text = said()
    assert "have the same kid" not in text
    assert "sweep s: best first of those that reached their end, then the others" in " ".join(
        text.split()
    )


def test_a_best_trial_of_unchanged_params(tried):
    trial = tried.begin(0, lr=0.01)
    trial.values["train.total_kimg"] = 120
    assert difference(tried.sweep, trial) == ["it differs in nothing from params.yaml"]


def test_no_message_is_cut(tried, said):
    why = "the loss is not a number: " + "a long reason, " * 12 + "which ends here"
    tried.begin(0)
    tried.report(0, 10_016)
    tried.record.ended("t0")
    tried.begin(1, lr=0.005)
    tried.record.ended("t1", why)
    text = said()
    assert f"trial 1 broke: {why}\n" in text and "…" not in text and "..." not in text


def test_a_wide_table_folds_on_a_narrow_screen(tried, said):
    tried.sweep.domains[
        "model.a_key_with_a_name_that_is_longer_than_half_of_the_screen_is_wide"
    ] = tried.sweep.domains["model.channels"]
    trial = tried.begin(0)
    trial.values["model.a_key_with_a_name_that_is_longer_than_half_of_the_screen_is_wide"] = 32
    assert "…" not in _table(tried)


def _table(tried):
    import io

    from pipelines.console.terminal import terminal
    from pipelines.sweeps.announcement import table

    console = terminal(width=60, file=io.StringIO())
    console.print(table(tried.sweep, list(tried.record.trials.values())))
    return console.file.getvalue()


def test_no_trial_with_a_result_is_an_error(tried, said):
    tried.begin(0)
    tried.record.ended("t0", "no memory")
    with pytest.raises(RuntimeError, match="no trial came to an end: no memory"):
        said()


def test_a_figure_of_an_earlier_report_does_not_stay(tried, tmp_path):
    (tmp_path / "importance.png").write_text("old")
    tried.begin(0)
    tried.report(0, 10_016)
    tried.record.ended("t0")
    written = write_report(tried.sweep, tried.record, tmp_path)
    assert not (tmp_path / "importance.png").exists() and "importance.png" in written.missing
