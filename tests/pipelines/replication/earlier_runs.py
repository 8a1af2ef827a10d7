"""A run store made by hand, with a run that took so long."""

from types import SimpleNamespace


class Runs:
    """A run store that holds one parent with its children."""

    def __init__(self, params, *children):
        self.parent = SimpleNamespace(
            info=SimpleNamespace(run_id="p", run_name="digits graph s0 3f2a"),
            data=SimpleNamespace(params=params),
        )
        self.children = children

    def search(self, tags, status):
        assert status == "FINISHED"
        return [self.parent] if tags.get("level") == "parent" else list(self.children)


def child(stage, seconds, speed=None, **tags):
    return SimpleNamespace(
        info=SimpleNamespace(start_time=5000, end_time=5000 + 1000 * seconds),
        data=SimpleNamespace(
            tags={"stage": stage, **tags}, metrics={"img_per_s": speed} if speed else {}
        ),
    )
