"""A clock that counts what a network computes, so that a busy machine changes no comparison."""

from collections.abc import Callable

from models.layers.magnitude_preserving import MPConv

MILLISECOND = 1e-3


def work_clock(monkeypatch) -> Callable[[], float]:
    """Seconds that pass by one millisecond with each layer that is evaluated."""
    calls, forward = [0], MPConv.forward

    def counted(layer, *given, **named):
        calls[0] += 1
        return forward(layer, *given, **named)

    monkeypatch.setattr(MPConv, "forward", counted)
    return lambda: MILLISECOND * calls[0]
