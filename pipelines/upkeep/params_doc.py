"""Print docs/params.md: every key of params.yaml with its type, default and meaning.

Run as: python -m pipelines.upkeep.params_doc > docs/params.md
"""

import argparse
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from foundation.bounds import AtMost
from foundation.names_in_settings import NameIn
from foundation.settings_by_kind import ByKind
from pipelines.console.command import run_stage
from pipelines.settings.schema import Params

HEAD = """# Every knob of params.yaml

Made from the settings' own classes by `python -m pipelines.upkeep.params_doc > docs/params.md`.
Unknown keys, wrong types and values out of range are all reported at once, before anything runs.
Anchors and merge keys (`<<: *name`) work. What readers of YAML take differently is refused: a
leading zero (`010`), base 60 (`2:00`), `yes`/`no`/`on`/`off`, `1_000`; so are dates without quotes,
tags and numbers that are not finite. sweep.yaml is read in the same way.
"""


def render() -> str:
    """The whole page in markdown."""
    parts = [HEAD]
    rows: list[tuple[str, FieldInfo]] = []
    sections: list[tuple[str, FieldInfo, type[BaseModel]]] = []
    for name, field in Params.model_fields.items():
        model = _model_of(field.annotation)
        if model is None:
            rows.append((name, field))
        else:
            sections.append((name, field, model))
    parts.append(_table(rows))
    for name, field, model in sections:
        prefix = f"{name}.NAME." if get_origin(field.annotation) is dict else f"{name}."
        about = " ".join((field.description or "").split())
        kinds = _kinds_of(field.annotation) or _kinds_in(field.metadata)
        tables = [_fields(model, prefix)]
        if kinds is not None:  # an entry has the keys above, and those of its kind
            tables += [_kind(kinds, kind, prefix, model) for kind in kinds.table]
        parts.append(f"## {name}\n\n{about}\n\n" + "\n".join(tables))
    return "\n".join(parts)


def _fields(model: type[BaseModel], prefix: str, known: type[BaseModel] | None = None) -> str:
    rows = []
    nested = []
    for name, field in model.model_fields.items():
        inner, kinds = _model_of(field.annotation), _kinds_of(field.annotation)
        if known is None or name == "kind" or name not in known.model_fields:
            rows.append((prefix + name, field))
        if kinds is not None:
            nested += [_kind(kinds, kind, f"{prefix}{name}.") for kind in kinds.table]
        elif inner is not None and inner not in _section_models():
            nested.append(_fields(inner, f"{prefix}{name}."))
    return "\n".join([_table(rows), *nested])


def _section_models() -> dict[type[BaseModel] | None, str]:
    """{class: the section below whose heading its keys stand, and nowhere else}."""
    return {_model_of(field.annotation): name for name, field in Params.model_fields.items()}


def _kind(kinds: ByKind, kind: str, prefix: str, known: type[BaseModel] | None = None) -> str:
    """The table of keys of one kind, below a sentence that says what the kind is.

    known: class whose keys are not listed again.
    """
    chosen = kinds.table[kind]
    about = (chosen.__doc__ or "").partition("\n")[0]
    default = " (the kind of an entry that names none)" if kind == kinds.default else ""
    return f"`{{kind: {kind}}}`{default}: {about}\n\n{_fields(chosen, prefix, known)}"


def _table(rows: list[tuple[str, FieldInfo]]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in rows:
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    section = _section_models().get(type(value))
    if section is not None:
        return f"see {section}"
    if isinstance(value, BaseModel) or (isinstance(value, dict) and value):
        return "see below"
    if isinstance(value, tuple):
        shown = [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in value]
        return f"`{shown}`"
    return f"`{'null' if value is None else value}`"


def _type(field: FieldInfo) -> str:
    for table in field.metadata:
        if isinstance(table, NameIn):
            return ", ".join(f"`{name}`" for name in table.names)
    return (_name(field.annotation) + _limits(field.metadata, field.annotation)).replace("|", "\\|")


def _name(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return _name(args[0]) + _limits(args[1:], args[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _name(a) for a in args)
    if origin is tuple:
        inner = [a for a in args if a is not Ellipsis]
        return (
            f"list of {_name(inner[0])}"
            if Ellipsis in args
            else f"{len(inner)} of {_name(inner[0])}"
        )
    if origin is dict:
        return "mapping"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "section"
    return {"int": "integer", "float": "number", "str": "text", "bool": "true or false"}.get(
        getattr(kind, "__name__", str(kind)), str(kind)
    )


def _limits(metadata: Any, kind: Any) -> str:
    signs = {
        annotated_types.Ge: (">=", "ge"),
        annotated_types.Gt: (">", "gt"),
        annotated_types.Le: ("<=", "le"),
        annotated_types.Lt: ("<", "lt"),
    }
    found = []
    for item in metadata:
        if isinstance(item, AtMost):
            entries = " entries" if get_origin(kind) in (tuple, dict) else ""
            found.append(f"at most {item.most:,.15g}{entries}")
        for constraint in getattr(item, "metadata", None) or [item]:
            if type(constraint) in signs:
                sign, attribute = signs[type(constraint)]
                value = getattr(constraint, attribute)
                found.append(
                    f"{sign} {value:.4g}" if isinstance(value, float) else f"{sign} {value}"
                )
    return f" ({', '.join(found)})" if found else ""


def _kinds_of(kind: Any) -> ByKind | None:
    """The table of kinds in an annotation; None if the annotation has none."""
    return _kinds_in(get_args(kind))


def _kinds_in(parts: Iterable[Any]) -> ByKind | None:
    for inner in parts:
        found = inner if isinstance(inner, ByKind) else _kinds_of(inner)
        if found is not None:
            return found
    return None


def _model_of(kind: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation; None unless it is a single one."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    for inner in get_args(kind):
        if (get_origin(kind) in (dict, typing.Annotated, tuple)) and (found := _model_of(inner)):
            return found
    return None


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(render(), end="")


if __name__ == "__main__":
    run_stage(main)
