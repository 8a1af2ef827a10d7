"""Tables of the studies as markdown."""


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table; lines: the cells of each row."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
