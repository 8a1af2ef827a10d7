"""Finds the files of a project that a module imports, itself or through others.

They are read from the source; no module is imported. Imports inside functions and `try` count like
those at the top; those under `if TYPE_CHECKING:` do not. With a module of a package its
`__init__.py` counts too. If an `__init__.py` only re-exports names of its modules, an import of a
name from it counts as an import from the name's own module.
"""

import ast
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


def closure(entry: str, rules: Rules, kinds: Kinds | None = None, root: Path = Path()) -> set[Path]:
    """Files of the project that module `entry` is or imports, relative to `root`.

    kinds: what params choose from the tables; None: every kind.
    Raises FileNotFoundError if `root` has no such module.
    """
    if find_module(entry, root) is None:
        raise FileNotFoundError(
            f"there is no module {entry} in {root.resolve()}: run from the project's folder"
        )
    file_of = cache(lambda module: find_module(module, root))
    found: set[Path] = set()
    seen: set[tuple[str, str | None]] = set()
    waiting: list[tuple[str, str | None]] = [(entry, None)]
    while waiting:
        module, name = wanted = waiting.pop()
        if wanted in seen or (path := file_of(module)) is None or _within(module, rules.left_out):
            continue
        seen.add(wanted)
        source = read_source(path, module)
        for followed in _followed(module, name, source, rules, kinds):
            waiting.append((followed.module, followed.name))
            if followed.name is not None:  # the name may be a module of the package
                waiting.append((f"{followed.module}.{followed.name}", None))
        if _within(module, rules.passed_through):
            continue
        found.add(path.relative_to(root))
        if "." in module:
            waiting.append((module.rpartition(".")[0], ""))  # its __init__.py, but no name of it
    return found


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
    return any(module == name or module.startswith(name + ".") for name in packages)


def find_module(module: str, root: Path = Path()) -> Path | None:
    """The module's file; None if it is no part of the project."""
    first, *rest = module.split(".")
    if not (root / first / "__init__.py").is_file():
        return None
    base = root.joinpath(first, *rest)
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in files if path.is_file()), None)


def read_source(path: Path, module: str) -> Source:
    """Parse a module's file. Raises SyntaxError, as importing it would."""
    facts = path.stat()
    return _parse(path, module, (facts.st_ino, facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=1024)
def _parse(path: Path, module: str, version: tuple[int, ...]) -> Source:
    """version: changes with the file, so that an edited file is parsed again."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    re_exports = path.name == "__init__.py" and all(
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
