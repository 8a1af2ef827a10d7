"""Carries events from the training workers to the driver. Imports nothing heavy."""


class Mailbox:
    """A Ray actor's body: holds rank 0's events until the driver fetches them."""

    def __init__(self) -> None:
        self.events: list[dict] = []

    def push(self, event: dict) -> None:
        self.events.append(event)

    def drain(self) -> list[dict]:
        events, self.events = self.events, []
        return events
