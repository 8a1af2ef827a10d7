"""What training tells while it goes on."""

from collections.abc import Callable

Report = Callable[[dict], None]
