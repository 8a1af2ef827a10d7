"""The monitor of a student's training: pairs of the teacher first, then the student by name."""

import io

import pytest
from rich.console import Console

from pipelines.console.training_monitor import Monitor
from training.events import Ended, Logged, PairsDrawn, Started


@pytest.fixture
def monitor():
    """monitor(terminal) -> (Monitor of the student quick, its clock, what its console shows)."""
    now = [0.0]

    def make(terminal):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=terminal, width=120)
        shown = Monitor(10_000, title="quick", console=console, clock=lambda: now[0])
        return shown, now, screen

    return make


def test_lines_tell_the_time_left_of_the_pairs_and_name_the_student(monitor, capsys):
    shown, now, _ = monitor(False)
    with shown:
        shown(Started(0, 10_000, False))
        for done in range(0, 1001, 50):
            shown(PairsDrawn(0, done, 1000))
            now[0] += 2.0
        shown(Logged(5_000, {"loss": 0.5}, 7.0))
        now[0] += 20.0
        shown(Ended(10_000))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "quick: pairs of the teacher: 100/1000 (10%), 0:36 left"
    assert "quick: pairs of the teacher: 1000/1000 (100%), 0:00 left" in said
    assert said[-1].startswith("quick: 10.0/10.0 kimg  loss 0.5")


def test_the_terminal_has_a_bar_of_its_own_while_pairs_are_drawn(monitor):
    shown, now, screen = monitor(True)
    with shown:
        shown(Started(0, 10_000, False))
        for done in (0, 250):
            shown(PairsDrawn(0, done, 1000))
            shown._bar.refresh()
            now[0] += 5.0
        assert "quick: pairs of the teacher 250/1,000" in screen.getvalue()
        shown(PairsDrawn(0, 500, 1000))
        shown._bar.refresh()
        assert "0:10 left" in screen.getvalue() and len(shown._bar.tasks) == 2
        shown(PairsDrawn(0, 1000, 1000))
        assert len(shown._bar.tasks) == 1
        shown._bar.refresh()
    assert "quick: 0.0/10.0 kimg" in screen.getvalue()
