"""A judged item is taken back if it is whole, and drawn again if it is not."""

import pytest

from pipelines.stages.judged_item import METRICS, PICTURES
from pipelines.stages.kept_items import keep_item, restore_item

FILES = (*PICTURES, METRICS)


@pytest.fixture
def item(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    out = tmp_path / "out"
    out.mkdir()
    for name in FILES:
        (out / name).write_text(f"content of {name}")
    keep_item("0123-a-0.1-one", out)
    return tmp_path


def test_what_was_kept_comes_back(item):
    assert restore_item("0123-a-0.1-one", item / "again")
    assert {p.name: p.read_text() for p in (item / "again").iterdir()} == {
        name: f"content of {name}" for name in FILES
    }
    assert not restore_item("4567-a-0.1-one", item / "other")
    assert not (item / "other").exists()


@pytest.mark.parametrize("name", [*FILES, "files.json"])
@pytest.mark.parametrize("spoil", ["lose", "damage"])
def test_a_damaged_item_is_none(item, name, spoil):
    path = item / ".runs/judged/0123-a-0.1-one" / name
    path.unlink() if spoil == "lose" else path.write_text("x")
    assert not restore_item("0123-a-0.1-one", item / "again")
    assert not (item / "again").exists()
