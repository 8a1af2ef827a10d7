"""What all commands share."""

import io
import sys

from pipelines.console.command import run_stage


def test_a_name_that_the_screen_cannot_show_is_escaped(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    run_stage(lambda: print("classes 猫 and caf\udce9"))
    screen.flush()
    assert screen.buffer.getvalue() == b"classes \\u732b and caf\\udce9\n"
