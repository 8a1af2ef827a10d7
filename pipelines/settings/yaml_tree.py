"""Builds plain data from YAML: what JSON can say too, read the same by every reader of YAML.

The text is read event by event, without recursion, and everything that could grow is bounded:
nesting, the number of values, and what aliases repeat. Anchors, aliases and merge keys are read as
DVC reads them. Tags, dates, keys that are not text and keys given twice are refused.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipelines.settings.yaml_scalars import ScalarError, plain_value, shortened

MAX_DEPTH = 64
MAX_SIZE = 50_000
"""Values of a file with its aliases written out; each 100 characters of text count as one more."""
MERGE = "<<"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times faster


class TreeError(ValueError):
    """The text cannot be read any further. `line` counts from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class _Open:
    """A list or mapping whose end has not come yet."""

    content: dict | list
    path: str
    line: int
    anchor: str | None
    size: int = 1
    key: str | None = None
    """The key whose value comes next; None: a key comes next, or this is a list."""
    merging: bool = False
    """The value that comes next is merged into the mapping."""
    merged: list[dict] | None = None
    given: set[str] = field(default_factory=set)

    @property
    def child_path(self) -> str:
        """Dotted path of the value that comes next."""
        if isinstance(self.content, list):
            return f"{self.path}[{len(self.content)}]"
        if self.key is None:
            return self.path
        return f"{self.path}.{self.key}" if self.path else self.key


class Tree:
    """Reads one text. `value` is its plain data, `problems` one line for each mistake in it."""

    def __init__(self, text: str) -> None:
        """Raises yaml.YAMLError for text that is not YAML, TreeError where reading must end."""
        self.value: Any = None
        self.problems: list[str] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        """Value and size of what each anchor names; None while it is still open."""
        self._size = 0
        documents = 0
        for event in yaml.parse(text, _LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                self._check_document(event, documents)
            else:
                self._read(event)

    def _check_document(self, event: Any, documents: int) -> None:
        line = event.start_mark.line + 1
        if documents > 1:
            raise TreeError(line, "a second document begins (---): keep one")
        version = getattr(event, "version", None)
        if version not in (None, (1, 2)):
            raise TreeError(
                line,
                f"%YAML {'.'.join(map(str, version))} changes what some readers take words for: "
                "leave this line out",
            )

    def _read(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._end()

    @property
    def _path(self) -> str:
        return self._open[-1].child_path if self._open else ""

    @property
    def _key_is_next(self) -> bool:
        if not self._open or isinstance(self._open[-1].content, list):
            return False
        return self._open[-1].key is None and not self._open[-1].merging

    def _scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        value: Any = event.value
        self._check_tag(event, line)
        if event.tag is None and not event.style:  # unquoted
            if self._key_is_next and value == MERGE:
                self._begin_merge(line)
                return
            try:
                value = plain_value(event.value)
            except ScalarError as error:
                self._problem(line, self._path, str(error))
        if broken := re.search("[\0\ud800-\udfff]", event.value):  # no path and no page holds it
            self._problem(line, self._path, f"the character {broken[0]!a} is in this text")
            value = ""
        size = 1 + len(event.value) // 100
        self._grow(size, line)
        self._key_or_value(value, size, event.anchor, line, event.value)

    def _alias(self, event: Any) -> None:
        line, name = event.start_mark.line + 1, event.anchor
        if name not in self._anchors:
            name = shortened(name)
            raise self._refusal(line, f"*{name}: no &{name} stands before it")
        known = self._anchors[name]
        if known is None:
            raise self._refusal(line, f"*{shortened(name)} lies within what it repeats, endlessly")
        value, size = known
        self._grow(size, line)
        # A copy, so that a change of one key by its dotted name changes no other.
        self._key_or_value(_copied(value), size, None, line, str(value))

    def _begin(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if self._key_is_next:
            raise self._refusal(line, "a key must be text, not a list or section")
        self._check_tag(event, line)
        if len(self._open) >= MAX_DEPTH:
            raise self._refusal(line, f"lists and sections are nested more than {MAX_DEPTH} deep")
        self._grow(1, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        content: dict | list = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(content, self._path, line, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        for part in done.merged or ():
            for key, value in part.items():
                done.content.setdefault(key, value)  # type: ignore[union-attr]
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.content, done.size)
        self._value(done.content, done.size, done.line)

    def _begin_merge(self, line: int) -> None:
        mapping = self._open[-1]
        if mapping.merged is not None:
            self._problem(line, self._path, f"{MERGE} is given twice: give it a list, [*a, *b]")
        mapping.merging = True

    def _key_or_value(
        self, value: Any, size: int, anchor: str | None, line: int, written: str
    ) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if not self._key_is_next:
            self._value(value, size, line)
            return
        mapping = self._open[-1]
        if not isinstance(value, str):
            shown = shortened(written) or "an empty key"
            self._problem(line, self._path, f'{shown}: a key must be text: write "{shown}":')
            value = shown
        mapping.key = value
        mapping.size += size
        if value in mapping.given:
            self._problem(line, self._path, "this key is given twice")
        mapping.given.add(value)

    def _value(self, value: Any, size: int, line: int) -> None:
        """Put a finished value into what is open around it."""
        if not self._open:
            self.value = value
            return
        around = self._open[-1]
        around.size += size
        if isinstance(around.content, list):
            around.content.append(value)
        elif around.merging:
            around.merging = False
            parts = value if isinstance(value, list) else [value]
            if all(isinstance(part, dict) for part in parts):
                around.merged = [*(around.merged or []), *parts]
            else:
                self._problem(line, around.path, f"{MERGE} takes a section or a list of them")
        else:
            assert around.key is not None
            around.content[around.key] = value
            around.key = None

    def _check_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(
                line,
                self._path,
                f"the tag {shortened(tag)} is not read: leave it out (quotes make text)",
            )

    def _grow(self, size: int, line: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise self._refusal(
                line,
                f"the file holds more than {MAX_SIZE:,} values (what aliases repeat counts each "
                "time)",
            )

    def _refusal(self, line: int, message: str) -> TreeError:
        return TreeError(line, f"{_place(self._path)}{message}")

    def _problem(self, line: int, path: str, message: str) -> None:
        self.problems.append(f"line {line}: {_place(path)}{message}")


def _place(path: str) -> str:
    return f"{shortened(path)}: " if path else ""


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value
