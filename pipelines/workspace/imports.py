"""Finds the files of a project that a module imports, itself or through others.

They are read from the source; no module is imported. Imports inside functions and `try` count like
those at the top; those under `if TYPE_CHECKING:` do not. With a module of a package its
`__init__.py` counts too. If an `__init__.py` only re-exports names of its modules, an import of a
name from it counts as an import from the name's own module.
"""

import ast
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

Kinds = Mapping[str, Collection[str]]
"""{table: its chosen kinds}; of a table that is missing here, every kind counts."""


@dataclass(frozen=True)
class Table:
    """A module's dict from the name of a kind to its class, or to a function that imports it.

    An import of the module that a value of this dict uses (or that a function which is a value
    makes) counts only if the kind of this value is chosen.
    """

    module: str
    dictionary: str
    one_in_use: bool = False
    """Whether a stage that imports the table always uses at least one of its kinds."""


@dataclass(frozen=True)
class Rules:
    """Which imported files do not count: {module or package: the reason}."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Neither these count nor what only they import."""
    passed_through: Mapping[str, str] = field(default_factory=dict)
    """These do not count, but what they import does."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports."""

    module: str
    """Full name of the module that is imported, or that the name is imported from."""
    name: str | None
    """The imported name; None if the module itself is imported."""
    bound: str
    """Its name in the importing module."""
    within: str = ""
    """The top-level function or class that contains the import; "" if none does."""

    def serves(self, names: Collection[str]) -> bool:
        """Whether `names` has the imported name, or the function or class that imports it."""
        return self.bound in names or (self.within != "" and self.within in names)


@dataclass(frozen=True)
class Source:
    """What a module's text says of its imports and dicts."""

    imports: tuple[Import, ...]
    re_exports: bool
    """Whether it is an `__init__.py` with nothing but imports and `__all__`."""
    dictionaries: Mapping[str, Mapping[str, frozenset[str]]]
    """The module's dicts: {name of the dict: {key: names that occur in its value}}."""


class Look:
    """The project's files at one moment: each is looked for and read once.

    For those who ask for many closures at a time; an edit is seen by the next look.
    """

    def __init__(self, root: Path = Path()):
        base = str(root)
        self.file_of = cache(lambda module: _file_of(module, base))
        self.source_of = cache(lambda path, module: _read(base, path, module))


def closure(
    entry: str,
    rules: Rules,
    kinds: Kinds | None = None,
    root: Path = Path(),
    look: Look | None = None,
) -> set[Path]:
    """Files of the project that module `entry` is or imports, relative to `root`.

    Args:
        kinds: what params choose from the tables; None: every kind.
        look: at the files of `root`; None: a new one.

    Raises FileNotFoundError if `root` has no such module.
    """
    look = look or Look(root)
    file_of, source_of = look.file_of, look.source_of
    if file_of(entry) is None:
        raise FileNotFoundError(
            f"there is no module {entry} in {root.resolve()}: run from the project's folder"
        )
    left_out = cache(lambda module: _within(module, rules.left_out))
    found: set[str] = set()
    seen: set[tuple[str, str | None]] = set()
    waiting: list[tuple[str, str | None]] = [(entry, None)]
    while waiting:
        module, name = wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        if (path := file_of(module)) is None or left_out(module):
            continue
        source = source_of(path, module)
        for followed in _followed(module, name, source, rules, kinds):
            waiting.append((followed.module, followed.name))
            if followed.name is not None:  # the name may be a module of the package
                waiting.append((f"{followed.module}.{followed.name}", None))
        if _within(module, rules.passed_through):
            continue
        found.add(path)
        if "." in module:
            waiting.append((module.rpartition(".")[0], ""))  # its __init__.py, but no name of it
    return set(map(Path, found))


def kinds_of(table: Table, root: Path = Path()) -> set[str]:
    """The names of a table's kinds; empty if the module or its dict is missing."""
    path = find_module(table.module, root)
    if path is None:
        return set()
    return set(read_source(path, table.module).dictionaries.get(table.dictionary, ()))


def dictionaries_of_imports(module: str, root: Path = Path()) -> dict[str, set[str]]:
    """{dict of the module: its keys whose values are imported from the project}."""
    path = find_module(module, root)
    assert path is not None, module
    source = read_source(path, module)
    own = [i for i in source.imports if find_module(i.module, root) is not None]
    tables = {
        name: {key for key, names in entries.items() if any(i.serves(names) for i in own)}
        for name, entries in source.dictionaries.items()
    }
    return {name: keys for name, keys in tables.items() if keys}


def _followed(
    module: str, name: str | None, source: Source, rules: Rules, kinds: Kinds | None
) -> Iterator[Import]:
    """The imports of `module` that count if `name` is imported from it (None: the module)."""
    if source.re_exports and name is not None:
        yield from (i for i in source.imports if name == "*" or i.serves((name, "*")))
        return
    of_kinds: set[str] = set()
    chosen: set[str] = {name} if name else set()
    for key, table in rules.tables.items():
        if table.module == module:
            for kind, names in source.dictionaries.get(table.dictionary, {}).items():
                of_kinds |= names
                if kinds is None or kind in kinds.get(key, (kind,)):
                    chosen |= names
    yield from (i for i in source.imports if i.serves(chosen) or not i.serves(of_kinds))


def _within(module: str, packages: Mapping[str, str]) -> bool:
    """Whether the module is one of `packages` or lies in one of them."""
    parts = module.split(".")
    return any(".".join(parts[:depth]) in packages for depth in range(1, len(parts) + 1))


def find_module(module: str, root: Path = Path()) -> Path | None:
    """The module's file; None if it is no part of the project."""
    found = _file_of(module, str(root))
    return None if found is None else root / found


def _file_of(module: str, root: str) -> str | None:
    """The module's file, relative to `root`. Strings, since a look at all stages asks thousands."""
    parts = module.split(".")
    if not os.path.isfile(os.path.join(root, parts[0], "__init__.py")):
        return None
    base = os.path.join(*parts)
    files = (os.path.join(base, "__init__.py"), f"{base}.py")
    return next((path for path in files if os.path.isfile(os.path.join(root, path))), None)


def read_source(path: Path, module: str) -> Source:
    """Parse a module's file. Raises SyntaxError, as importing it would."""
    return _read("", str(path), module)


def _read(root: str, path: str, module: str) -> Source:
    full = os.path.join(root, path)
    facts = os.stat(full)
    return _parse(full, module, (facts.st_ino, facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=1024)
def _parse(path: str, module: str, version: tuple[int, ...]) -> Source:
    """version: changes with the file, so that an edited file is parsed again."""
    with open(path, "rb") as stream:
        tree = ast.parse(stream.read(), filename=path)
    is_package = os.path.basename(path) == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    re_exports = is_package and all(
        isinstance(node, (ast.Import, ast.ImportFrom))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        for node in tree.body
    )
    return Source(tuple(_imports(tree, package)), re_exports, dict(_dictionaries(tree)))


_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _imports(node: ast.AST, package: str, within: str = "") -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _only_for_types(child.test):
            yield from _imports(ast.Module(child.orelse, []), package, within)
        elif isinstance(child, ast.Import):
            for name in child.names:
                yield Import(name.name, None, name.asname or name.name.split(".")[0], within)
        elif isinstance(child, ast.ImportFrom):
            origin = child.module or ""
            if child.level:
                above = package.split(".")[: len(package.split(".")) - child.level + 1]
                origin = ".".join([*above, *filter(None, [child.module])])
            for name in child.names:
                yield Import(origin, name.name, name.asname or name.name, within)
        else:
            own = child.name if isinstance(child, _NAMED) else ""
            yield from _imports(child, package, within or own)


def _only_for_types(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _dictionaries(tree: ast.Module) -> Iterator[tuple[str, dict[str, frozenset[str]]]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(value, ast.Dict):
            yield (
                target.id,
                {
                    key.value: frozenset(n.id for n in ast.walk(entry) if isinstance(n, ast.Name))
                    for key, entry in zip(value.keys, value.values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                },
            )
