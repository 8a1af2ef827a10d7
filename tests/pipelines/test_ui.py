"""python -m pipelines.ui: what cannot be listened on is told in one line."""

import sys

import pytest

from pipelines.ui import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "99999"], "--port 99999: at most 65,535 can be used: ports have 16 bits"),
        (["--port", "-1"], "--port -1: give 1 or more"),
        (["--port", "0"], "--port 0: give 1 or more"),
    ],
)
def test_a_port_that_is_none_is_refused(monkeypatch, words, told):
    monkeypatch.setattr(sys, "argv", ["ui", *words])
    with pytest.raises(ValueError, match=told):
        main()
