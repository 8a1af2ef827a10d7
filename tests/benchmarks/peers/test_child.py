"""Peak memory of work in a process of its own."""

import pytest

from benchmarks.peers import manifold
from benchmarks.peers.child import Taken, in_a_child
from benchmarks.peers.optional import PeerMissing


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module whose work takes 60 MB for a while, after 120 MB were taken before it."""
    (tmp_path / "some_work.py").write_text(
        "import numpy as np\n"
        "from benchmarks.peers.optional import PeerMissing\n"
        "def large(megabytes):\n"
        "    np.ones(15_000_000)\n"
        "    return lambda: float(np.ones(megabytes * 125_000).sum())\n"
        "def absent():\n"
        "    raise PeerMissing('it is not installed: mend it')\n"
        "def broken():\n"
        "    raise RuntimeError('no such thing')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_the_peak_is_that_of_the_work_alone(work):
    taken = in_a_child("some_work:large", 60)
    assert taken.result == 60 * 125_000
    assert 55 < taken.peak_mb < 75
    assert 0 < taken.seconds < 60


def test_a_missing_peer_and_a_failure_come_through(work):
    with pytest.raises(PeerMissing, match="it is not installed: mend it"):
        in_a_child("some_work:absent")
    with pytest.raises(RuntimeError, match=r"some_work:broken failed.*no such thing"):
        in_a_child("some_work:broken")


def test_rows_of_time_and_memory(monkeypatch):
    monkeypatch.setattr(manifold, "ROUNDS", 2)
    monkeypatch.setattr(manifold, "IMAGES", 60)

    def here(work, *arguments):
        name = work.split(":")[1]
        made = getattr(manifold, name)(*arguments)
        return Taken(1.0 if name == "ours" else 4.0, 30.0 if name == "ours" else 100.0, made())

    monkeypatch.setattr(manifold, "in_a_child", here)
    seconds, memory = manifold.rows()
    assert seconds.ratio == 0.25 and not seconds.missed
    assert float(seconds.note.removeprefix("metrics differ by ")) < 1e-6
    assert memory.unit == "MB" and memory.ratio == 0.3 and memory.missed


def test_without_prdc_ours_is_told_alone(monkeypatch):
    def here(work, *arguments):
        if work.endswith("theirs"):
            raise PeerMissing("prdc is not installed: mend it")
        return Taken(1.0, 30.0, [])

    monkeypatch.setattr(manifold, "in_a_child", here)
    assert [row.ours for row in manifold.rows()] == [1.0, 30.0]
    assert all(row.note == "prdc is not installed: mend it" for row in manifold.rows())
