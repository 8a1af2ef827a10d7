"""Entries of params whose `kind` says which settings class reads the rest of the entry."""

import json
from collections.abc import Mapping
from typing import Any, LiteralString, NoReturn

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from foundation.did_you_mean import check_name, spelling_hint
from foundation.settings_base import Settings

UNKNOWN_KEY: LiteralString = "unknown_key"
"""Type of the error about a key that no kind has."""


class ByKind:
    """Annotation of a settings field: `Annotated[Base, ByKind("loss", LOSSES)]`.

    Each class of the table derives from Base. The table is read when an entry is, so that a class
    put into it later counts too.

    Args:
        what: names the kinds in errors.
        table: kind -> the class that reads an entry of this kind.
        default: the kind of an entry that names none; None: each must name its own.
    """

    def __init__(
        self, what: str, table: Mapping[str, type[Settings]], default: str | None = None
    ) -> None:
        self.what, self.table, self.default = what, table, default

    def __get_pydantic_core_schema__(
        self, source: type[Settings], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def read(value: Any, info: ValidationInfo) -> Settings:
            return value if isinstance(value, source) else self._read(value, info.mode)

        def write(entry: BaseModel, info: core_schema.SerializationInfo) -> dict[str, Any]:
            return entry.model_dump(mode=info.mode)

        return core_schema.with_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True),
        )

    def _read(self, value: Any, mode: str) -> Settings:
        if not isinstance(value, Mapping):
            kind = self.default or next(iter(self.table))
            raise ValueError(f"give a section such as {{kind: {kind}, ...}}")
        kind = value.get("kind", self.default)
        try:
            check_name(self.what, kind, self.table)
        except ValueError as error:
            _refuse("kind", kind, str(error))
        chosen = self.table[kind]
        # Null for a key that only other kinds have says the same as leaving it out.
        foreign = {key for key in value if key not in chosen.model_fields and self._owners(key)}
        given = {key: part for key, part in value.items() if part is not None or key not in foreign}
        for key, part in given.items():
            if key not in chosen.model_fields:
                error_type: LiteralString = "value_error" if self._owners(key) else UNKNOWN_KEY
                _refuse(key, part, self._elsewhere(key, kind), error_type)
        if mode == "json":  # where a list may be a tuple
            return chosen.model_validate_json(json.dumps(given))
        return chosen.model_validate(given)

    def _owners(self, key: str) -> list[str]:
        return [kind for kind, chosen in self.table.items() if key in chosen.model_fields]

    def _elsewhere(self, key: str, kind: str) -> str:
        """What is wrong with a key that the kind does not have."""
        own, owners = list(self.table[kind].model_fields), self._owners(key)
        if not owners:
            return f"unknown key {key!r}{spelling_hint(key, own)}"
        keys = [key]
        if len(owners) == 1:
            keys = [name for name in self.table[owners[0]].model_fields if name not in own]
        verb, them = ("belong", "them") if len(keys) > 1 else ("belongs", "it")
        return (
            f"{' and '.join(keys)} {verb} to kind {' or '.join(owners)}, not {kind}: "
            f"give {them} to an entry {{kind: {owners[0]}, ...}} of its own"
        )


def _refuse(
    key: str, value: Any, message: str, error_type: LiteralString = "value_error"
) -> NoReturn:
    """Raise an error that stands at the entry's key, as those of its own class do."""
    # The message is an argument, as a message with braces would be taken for a template.
    reason = PydanticCustomError(error_type, "{reason}", {"reason": message})
    raise ValidationError.from_exception_data(
        "entry", [{"type": reason, "loc": (key,), "input": value}]
    )
