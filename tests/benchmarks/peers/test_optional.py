"""Peers that are missing, and the fastest of a peer's ways."""

import sys
import time
from types import ModuleType

import pytest

from benchmarks.peers.optional import PeerMissing, beside, fastest, peer


def sleeping(seconds):
    return lambda: time.sleep(seconds)


def absent():
    raise PeerMissing("nothing is not installed: mend it")


def test_a_row_for_each_peer_with_the_fastest_of_its_ways():
    peers = {
        "two ways": lambda: {"slow": sleeping(0.1), "fast": sleeping(0.02)},
        "absent": absent,
        "one way": lambda: {"": sleeping(0.06)},
    }
    rows = list(beside("sleep", sleeping(0.001), peers, 3, 0.5, lambda name: f"of {name}"))
    assert [row.peer for row in rows] == ["two ways", "absent", "one way"]
    both, missing, one = rows
    assert both.note == "fast; of two ways" and one.note == "of one way"
    assert 0.019 < both.peers < one.peers and both.ratio < 0.5 and not both.missed
    assert missing.note == "nothing is not installed: mend it"
    assert missing.ratio is None and 0.0009 < missing.ours < both.peers


def test_slower_than_a_peer_is_over_the_aim():
    peers = {"quick": lambda: {"": sleeping(0.002)}}
    assert next(iter(beside("", sleeping(0.02), peers, 3, 0.9))).missed


def test_a_call_is_waited_for_by_what_finishes_it():
    started = []
    ways = {"eager": sleeping(0.004), "lazy": lambda: started.append(1)}

    def finished():
        time.sleep(0.02 * len(started))
        started.clear()

    assert fastest(ways) == "lazy"
    assert fastest(ways, finished) == "eager"


def test_what_a_peer_that_cannot_be_imported_says(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(PeerMissing, match=r"diffusers is not installed: pip install '\.\[bench\]'"):
        peer("diffusers")
    (tmp_path / "half_a_peer.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PeerMissing, match=r"half_a_peer cannot be imported.*a_module_that"):
        peer("half_a_peer")
    monkeypatch.setitem(sys.modules, "whole", ModuleType("whole"))
    assert peer("whole").__name__ == "whole"
