import os
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DamagedImage, DatasetError
from dataset.sources.image_folder import open_image_folder


def png(value=0):
    buffer = BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


NO_IMAGES = (".txt", ".md", ".h5", ".eps", ".db")


def content(name, value):
    return b"%!PS no image" if name.endswith(NO_IMAGES) else png(value)


def make(path, names, kind="folder"):
    """Files with their position as grey value; a name that ends in / makes an empty folder."""
    if kind == "zip":
        path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for value, name in enumerate(names):
                archive.writestr(name, b"" if name.endswith("/") else content(name, value))
        return path
    for value, name in enumerate(names):
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.mkdir() if name.endswith("/") else file.write_bytes(content(name, value))
    return path


def read(path, roots=()):
    config = DatasetConfig(source="image_folder", path=str(path))
    with open_image_folder(config, roots or (path.parent,)) as source:
        records = [(r.name, r.label, np.asarray(r.load())[0, 0].item()) for r in source.records]
        assert source.count == len(records)
        return source.label_names, records


both = pytest.mark.parametrize("kind", ["folder", "zip"])


@both
def test_labels_are_first_level_folders_sorted_by_name(tmp_path, kind):
    names = ["dog/b.png", "cat/10.png", "cat/9.PNG", "dog/deep/er/a.jpg", "10/x.webp", "empty/"]
    labels, records = read(make(tmp_path / "set", names, kind))
    assert labels == ("10", "cat", "dog")
    assert records == [
        ("10/x.webp", 0, 4),
        ("cat/10.png", 1, 1),
        ("cat/9.PNG", 1, 2),
        ("dog/b.png", 2, 0),
        ("dog/deep/er/a.jpg", 2, 3),
    ]


@both
def test_a_flat_folder_is_unlabelled(tmp_path, kind):
    labels, records = read(make(tmp_path / "set", ["b.png", "a.png"], kind))
    assert labels == () and records == [("a.png", -1, 1), ("b.png", -1, 0)]


@both
def test_one_folder_round_everything_is_looked_through(tmp_path, kind):
    labels, records = read(make(tmp_path / "a", ["in/er/x/1.png", "in/er/y/2.png"], kind))
    assert labels == ("x", "y") and [label for _, label, _ in records] == [0, 1]
    labels, records = read(make(tmp_path / "b", ["in/1.png", "in/2.png"], kind))
    assert labels == () and [label for _, label, _ in records] == [-1, -1]
    assert read(make(tmp_path / "c", ["only/one.png"], kind))[0] == ()


@both
def test_hidden_system_and_other_files_are_no_images(tmp_path, kind):
    names = ["a/1.png", "b/2.png", ".hidden.png", "a/._1.png", "__MACOSX/a/1.png", ".git/c.png"]
    names += ["readme.txt", "a/notes.md", "data.h5", "a/drawing.eps", "Thumbs.db"]
    labels, records = read(make(tmp_path / "set", names, kind))
    assert labels == ("a", "b") and [name for name, _, _ in records] == ["a/1.png", "b/2.png"]


@both
def test_images_beside_folders_are_ambiguous(tmp_path, kind):
    path = make(tmp_path / "set", ["a/1.png", "b/2.png", "cover.png"], kind)
    with pytest.raises(DatasetError, match=r"cover.png beside a/.*move all images"):
        read(path)


@both
def test_no_images(tmp_path, kind):
    path = make(tmp_path / "set", ["notes.txt"], kind)
    with pytest.raises(DatasetError, match="holds no images, only 1 other files: put images"):
        read(path)


def test_empty_missing_and_foreign_paths(tmp_path):
    with pytest.raises(DatasetError, match="holds no images, no files"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="nowhere does not exist: correct the path"):
        read(tmp_path / "nowhere")
    for name, data in [("a.tar", b"x"), ("cut.zip", make(tmp_path / "z", ["1.png"], "zip"))]:
        (tmp_path / name).write_bytes(data if name == "a.tar" else data.read_bytes()[:-5])
        with pytest.raises(DatasetError, match=f"{name} is neither a folder nor an intact zip"):
            read(tmp_path / name)


def test_relative_paths_are_tried_in_each_root(tmp_path):
    make(tmp_path / "second" / "set", ["1.png"])
    config = DatasetConfig(source="image_folder", path="set")
    with open_image_folder(config, (tmp_path / "first", tmp_path / "second")) as source:
        assert source.count == 1
    with pytest.raises(DatasetError) as error, open_image_folder(config, (tmp_path / "first",)):
        pass
    assert "\n" not in str(error.value)


def test_links_are_followed_and_loops_are_not(tmp_path):
    make(tmp_path / "store", ["1.png", "2.png"])
    path = make(tmp_path / "set", ["a/3.png", "b/4.png"])
    os.symlink(tmp_path / "store", path / "c")
    os.symlink(path, path / "a" / "up")
    os.symlink(tmp_path / "store" / "1.png", path / "b" / "one.png")
    labels, records = read(path)
    assert labels == ("a", "b", "c")
    assert [name for name, _, _ in records] == [
        "a/3.png",
        "b/4.png",
        "b/one.png",
        "c/1.png",
        "c/2.png",
    ]


def test_what_promises_an_image_and_is_none_is_damaged(tmp_path):
    path = make(tmp_path / "set", ["a.png"])
    (path / "text.png").write_text("hello")
    os.symlink(tmp_path / "gone.png", path / "link.png")
    os.mkfifo(path / "pipe.png")  # would block a reader for ever
    config = DatasetConfig(source="image_folder", path=str(path))
    with open_image_folder(config, (tmp_path,)) as source:
        records = {record.name: record for record in source.records}
    assert sorted(records) == ["a.png", "link.png", "text.png"]
    for name, message in [("link.png", "No such file"), ("text.png", "not an image")]:
        with pytest.raises(DamagedImage, match=message):
            records[name].load()


def test_a_damaged_zip_member_is_a_damaged_image(tmp_path):
    path = make(tmp_path / "set", ["a.png", "b.png"], "zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"\x89PNG") + 20] ^= 255
    path.write_bytes(data)
    config = DatasetConfig(source="image_folder", path=str(path))
    with open_image_folder(config, (tmp_path,)) as source:
        first, second = source.records
        with pytest.raises(DamagedImage, match="CRC"):
            first.load()
        second.load()
