"""Names in settings: the table behind a field says which there are."""

from collections.abc import Collection

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from foundation.did_you_mean import check_name


class NameIn:
    """Annotation of a settings field that names an entry: `Annotated[str, NameIn("solver",
    SOLVERS)]`.

    The table is read when a value is, so that an entry put into it later counts too.

    Args:
        what: the entries are called so in errors.
        table: its keys are the names.
        besides: further names, of no entry.
    """

    def __init__(self, what: str, table: Collection[str], *besides: str) -> None:
        self.what, self.table, self.besides = what, table, besides

    @property
    def names(self) -> list[str]:
        """All that the field may hold."""
        return [*self.table, *self.besides]

    def __get_pydantic_core_schema__(
        self, source: type[str], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def read(name: str) -> str:
            check_name(self.what, name, self.names)
            return name

        return core_schema.no_info_after_validator_function(read, handler(source))
