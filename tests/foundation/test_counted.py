"""One file, two files."""

from foundation.counted import counted


def test_one_alone_is_singular():
    assert [counted(n, "file") for n in (0, 1, 2, 1024)] == [
        *("0 files", "1 file", "2 files", "1,024 files"),
    ]
    assert [counted(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
