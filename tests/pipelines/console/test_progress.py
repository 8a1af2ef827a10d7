"""Progress of long stages where there is no terminal."""

from pipelines.console.progress import _plain, duration, progress


def test_plain_lines_are_rare_and_the_last_one_says_done(capsys):
    now = [0.0]
    report = _plain("features", 100, clock=lambda: now[0])
    for done in range(1, 101):
        now[0] += 1.0
        report(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "features: 15/100 (15%), 1:25 left"
    assert lines[-1] == "features: 100/100 (100%), 0:00 left"
    assert len(lines) == 7


def test_short_work_prints_nothing(capsys):
    with progress("samples", 3) as report:
        for done in range(4):
            report(done)
    assert capsys.readouterr().err == ""


def test_a_total_may_come_late_or_never(capsys):
    now = [0.0]
    report = _plain("images", None, clock=lambda: now[0])
    now[0] = 20.0
    report(7)
    now[0] = 40.0
    report(10, 20)
    assert capsys.readouterr().err.splitlines() == ["images: 7", "images: 10/20 (50%), 1:07 left"]


def test_duration():
    assert [duration(s) for s in (5, 760, 10921, -3)] == ["0:05", "12:40", "3:02:01", "0:00"]
