"""Upper ends of settings, each with the reason why there is one."""

from collections.abc import Sized
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class AtMost:
    """Annotation of a settings field: `Annotated[int, Field(ge=1), AtMost(1000, "beyond ...")]`.

    Args:
        most: largest value of a number, largest number of entries of a list or mapping.
        why: what happens beyond, the end of the error message.
    """

    def __init__(self, most: int | float, why: str) -> None:
        self.most, self.why = most, why

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(value: Any) -> Any:
            many = isinstance(value, Sized)
            if (len(value) if many else value) > self.most:
                what = f"{len(value):,} entries, and at most" if many else "at most"
                raise ValueError(f"{what} {self.most:,.15g} can be used: {self.why}")
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


IMAGES_AT_ONCE = AtMost(1_000_000, "so many images fit into no memory at once")
KIMG = AtMost(1e9, "10^12 images are more than any training sees")
NETWORK_WIDTH = AtMost(65_536, "a wider network fits into no memory")
PROCESSES = AtMost(4096, "Ray starts each as a process of its own")
NOISE_LEVEL = AtMost(1e6, "noise of a thousand times the usual 80 hides everything already")
"""Of a noise level sigma, where pixels span [-1, 1]."""
