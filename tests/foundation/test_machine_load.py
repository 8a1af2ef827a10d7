"""Timings of a busy machine are called rough."""

import os

from foundation.machine_load import busy_remark


def test_a_load_above_the_number_of_processors_is_told(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (4.0, 99.0, 99.0))
    assert busy_remark() == ""
    monkeypatch.setattr(os, "getloadavg", lambda: (4.5, 0.0, 0.0))
    assert "this machine is busy: load 4.5 on 4 processors" in busy_remark()


def test_a_system_that_does_not_know_its_load_is_taken_as_idle(monkeypatch):
    monkeypatch.delattr(os, "getloadavg")
    assert busy_remark() == ""
