from pathlib import Path

import pytest

from dataset.errors import DatasetError
from dataset.sources.locate import locate, places


def test_each_root_is_tried_in_turn(tmp_path):
    (tmp_path / "second" / "set").mkdir(parents=True)
    roots = (tmp_path / "first", tmp_path / "second")
    assert locate("set", roots) == tmp_path / "second" / "set"
    assert places("/set", roots) == [Path("/set"), Path("/set")]
    with pytest.raises(DatasetError, match=r"first/gone, .*second/gone does not exist"):
        locate("gone", roots)


def test_paths_that_cannot_be_followed(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="home folder that is not known: write the path in full"):
        locate("~no such user/set", (tmp_path,))

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(DatasetError, match=r"set cannot be looked at \(Permission denied\): mend"):
        locate("set", (tmp_path,))
