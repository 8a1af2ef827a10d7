"""The closure of a module's imports, on small made-up projects."""

import pytest

from pipelines.workspace.imports import Rules, Table, closure, dictionaries_of_imports


@pytest.fixture
def project(tmp_path):
    """project({path: text}) writes files, each package with its __init__.py; gives the root."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            for folder in path.relative_to(tmp_path).parents:
                if folder.name:
                    (tmp_path / folder / "__init__.py").touch()
        return tmp_path

    return write


def names(root, entry="top.main", rules=Rules(), kinds=None):  # noqa: B008
    """Files of the closure, without the empty __init__.py."""
    found = closure(entry, rules, kinds, root)
    return {str(p) for p in found if p.name != "__init__.py" or (root / p).stat().st_size}


@pytest.mark.parametrize(
    "statement",
    [
        "import low.part",
        "import low.part as p",
        "from low import part",
        "from low import part as p",
        "from low.part import thing",
        "from low.part import *",
        "from ..low.part import thing",
        "from ..low import part",
        "def f():\n    from low.part import thing",
        "def f():\n    def g():\n        import low.part",
        "class A:\n    def f(self):\n        if x:\n            import low.part",
        "try:\n    from low.part import thing\nexcept ImportError:\n    thing = None",
        "with suppress(ImportError):\n    import low.part",
        "if TYPE_CHECKING:\n    x: int\nelse:\n    from low.part import thing",
    ],
)
def test_every_way_to_import_a_module_is_seen(project, statement):
    # one level deeper, so that relative imports stay inside a package
    root = project(
        {
            "base/top/main.py": statement.replace("low", "base.low").replace("..base.", ".."),
            "base/low/part.py": "thing = 1",
            "base/low/other.py": "",
        }
    )
    assert names(root, "base.top.main") == {"base/top/main.py", "base/low/part.py"}


@pytest.mark.parametrize(
    "statement",
    [
        "if TYPE_CHECKING:\n    from low.part import thing",
        "if typing.TYPE_CHECKING:\n    import low.part",
        "import numpy, low_part",
        "'import low.part'",
        "# import low.part",
    ],
)
def test_what_is_no_import_of_the_project_is_not(project, statement):
    root = project({"top/main.py": statement, "low/part.py": "thing = 1"})
    assert names(root) == {"top/main.py"}


def test_imports_are_followed_to_their_end_and_round_a_circle(project):
    root = project(
        {
            "top/main.py": "import a.one",
            "a/one.py": "from a import two",
            "a/two.py": "from a.one import x\nimport b.three",
            "b/three.py": "",
        }
    )
    assert names(root) == {"top/main.py", "a/one.py", "a/two.py", "b/three.py"}


def test_packages_count_with_their_modules(project):
    root = project({"top/main.py": "import a.b.c", "a/b/c.py": ""})
    (root / "a" / "__init__.py").write_text("from a import started\nstarted.go()\n")
    (root / "a" / "started.py").write_text("")
    assert closure("top.main", Rules(), None, root) == {
        path.relative_to(root)
        for path in (
            root / "top" / "__init__.py",
            root / "top" / "main.py",
            root / "a" / "__init__.py",
            root / "a" / "started.py",
            root / "a" / "b" / "__init__.py",
            root / "a" / "b" / "c.py",
        )
    }


def test_a_package_that_re_exports_names_leads_to_the_asked_one_only(project):
    root = project({"top/main.py": "from a import one", "a/x.py": "one = 1", "a/y.py": "two = 2"})
    (root / "a" / "__init__.py").write_text(
        '"""Two names."""\nfrom a.x import one\nfrom a.y import two\n__all__ = ["one", "two"]\n'
    )
    assert names(root) == {"top/main.py", "a/__init__.py", "a/x.py"}
    for statement in ("import a", "from a import *", "import a as b"):
        (root / "top" / "main.py").write_text(statement)
        assert names(root) == {"top/main.py", "a/__init__.py", "a/x.py", "a/y.py"}
    (root / "top" / "main.py").write_text("from a import y")
    assert names(root) == {"top/main.py", "a/__init__.py", "a/y.py"}


TABLE = """
from kinds.one import One
from kinds.two import Two as Second, helper
from kinds.three import make
from kinds.shared import Base, MORE

Any = One | Second
KINDS: dict[str, type[Base]] = {"one": One, "two": Second, "three": partial(make, 3), **MORE}
"""


@pytest.fixture
def table(project):
    return project(
        {
            "top/main.py": "from kinds.table import KINDS",
            "kinds/table.py": TABLE,
            "kinds/one.py": "import kinds.under_one",
            "kinds/under_one.py": "",
            "kinds/two.py": "",
            "kinds/three.py": "",
            "kinds/shared.py": "",
        }
    )


KINDS = Rules({"kind": Table("kinds.table", "KINDS")})
SHARED = {"top/main.py", "kinds/table.py", "kinds/shared.py"}
ONE, TWO, THREE = {"kinds/one.py", "kinds/under_one.py"}, {"kinds/two.py"}, {"kinds/three.py"}


def test_of_a_table_the_chosen_kinds_count(table):
    # `helper` is no value of the dict, so that its module counts always
    assert names(table, rules=KINDS, kinds={"kind": ["one"]}) == SHARED | ONE | TWO
    assert names(table, rules=KINDS, kinds={"kind": ["three"]}) == SHARED | THREE | TWO
    (table / "kinds" / "table.py").write_text(TABLE.replace(", helper", ""))
    assert names(table, rules=KINDS, kinds={"kind": ["one"]}) == SHARED | ONE
    assert names(table, rules=KINDS, kinds={"kind": ["two", "three"]}) == SHARED | TWO | THREE
    assert names(table, rules=KINDS, kinds={"kind": []}) == SHARED


def test_every_kind_counts_where_nothing_is_chosen(table):
    everything = SHARED | ONE | TWO | THREE
    assert names(table) == everything
    assert names(table, rules=KINDS) == everything
    assert names(table, rules=KINDS, kinds={"another table": ["one"]}) == everything
    elsewhere = Rules({"kind": Table("kinds.table", "NOT_THERE")})
    assert names(table, rules=elsewhere, kinds={"kind": []}) == everything


LAZY = """
def one(size):
    from kinds.one import One
    return One(size)

def two(size):
    import kinds.two
    return kinds.two.Two(size)

def other():
    from kinds.three import make

KINDS = {"one": one, "two": two}
"""


def test_a_kind_may_be_a_function_that_imports_what_it_makes(table):
    (table / "kinds" / "table.py").write_text(LAZY)
    always = {"top/main.py", "kinds/table.py"} | THREE
    assert names(table, rules=KINDS, kinds={"kind": ["one"]}) == always | ONE
    assert names(table, rules=KINDS, kinds={"kind": ["two"]}) == always | TWO
    assert names(table, rules=KINDS, kinds={"kind": []}) == always
    assert names(table, rules=KINDS) == names(table) == always | ONE | TWO
    assert dictionaries_of_imports("kinds.table", table) == {"KINDS": {"one", "two"}}


def test_a_kind_that_is_imported_by_name_counts_unchosen(table):
    (table / "kinds" / "table.py").write_text(TABLE.replace(", helper", ""))
    (table / "top" / "main.py").write_text("from kinds.table import KINDS, One")
    assert names(table, rules=KINDS, kinds={"kind": []}) == SHARED | ONE
    (table / "top" / "main.py").write_text("from kinds.table import KINDS\nimport kinds.two")
    assert names(table, rules=KINDS, kinds={"kind": []}) == SHARED | TWO


def test_what_decides_no_result_is_left_out_or_passed_through(project):
    root = project(
        {
            "top/main.py": "import talk.aloud, carry.it, carry.on",
            "talk/aloud.py": "import a.x",
            "carry/it.py": "import a.y",
            "carry/on.py": "",
            "a/x.py": "",
            "a/y.py": "",
        }
    )
    rules = Rules(left_out={"talk": "for people"}, passed_through={"carry.it": "brings it there"})
    assert names(root, rules=rules) == {"top/main.py", "carry/on.py", "a/y.py"}


def test_an_edited_file_is_read_again(project):
    root = project({"top/main.py": "import a.x", "a/x.py": "", "a/y.py": ""})
    assert names(root) == {"top/main.py", "a/x.py"}
    (root / "top" / "main.py").write_text("import a.x, a.y")
    assert names(root) == {"top/main.py", "a/x.py", "a/y.py"}


def test_an_entry_that_is_not_there_is_told(project):
    root = project({"top/main.py": ""})
    with pytest.raises(FileNotFoundError, match=r"no module top\.other in .*project's folder"):
        closure("top.other", Rules(), None, root)


def test_dictionaries_of_imported_values_are_found(project):
    root = project(
        {
            "top/main.py": """
import numpy
from a.x import One, Two
from math import pi
TABLE = {"one": One, "two": Two, "own": int}
TYPED: dict[str, type] = {"one": One}
PLAIN = {"one": 1, "pi": pi}
EMPTY: dict = {}
def f():
    LOCAL = {"one": One}
""",
            "a/x.py": "",
        }
    )
    assert dictionaries_of_imports("top.main", root) == {"TABLE": {"one", "two"}, "TYPED": {"one"}}
