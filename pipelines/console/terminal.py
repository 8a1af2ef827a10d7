"""The terminal on which commands print names and values as users wrote them."""

from typing import IO

from rich.console import Console


def terminal(
    *,
    stderr: bool = False,
    file: IO[str] | None = None,
    width: int | None = None,
    force_terminal: bool | None = None,
) -> Console:
    """A rich console that shows each text letter by letter, in tables too.

    With rich's own defaults the brackets of `[raw]` are markup and vanish, `[/raw]` ends the
    command with an error, and `:ok:` is a picture. Every command prints by this console.
    """
    return Console(
        stderr=stderr,
        file=file,
        width=width,
        force_terminal=force_terminal,
        markup=False,
        emoji=False,
    )
