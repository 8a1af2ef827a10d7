"""Which files of a folder or zip are images, whatever their names say; what lies beside them."""

import os
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DamagedImage, DatasetError
from dataset.sources.image_folder import open_image_folder

HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(40)


def image(kind="PNG", value=0):
    buffer = BytesIO()
    Image.new("L", (4, 4), value).save(buffer, kind)
    return buffer.getvalue()


def make(path, files, kind):
    if kind == "zip":
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path.with_suffix(".zip")
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def read(path):
    """What is read, by name: the grey value or the reason why not; and the other files."""
    config = DatasetConfig(source="image_folder", path=str(path))
    found = {}
    with open_image_folder(config, (path.parent,)) as source:
        for record in source.records:
            try:
                found[record.name] = np.asarray(record.load().convert("L"))[0, 0].item()
            except DamagedImage as error:
                found[record.name] = str(error)
        return found, source.other_files


both = pytest.mark.parametrize("kind", ["folder", "zip"])


@both
def test_images_are_known_by_content(tmp_path, kind):
    files = {"1": image(value=1), "2.png_large": image(value=2), "3.0": image("GIF", 3)}
    files |= {"4.png": image("BMP", 4), "5.heic": image("PNG", 5), "6.JPG": image("TIFF", 6)}
    found, others = read(make(tmp_path / "set", files, kind))
    assert list(found.values()) == [1, 2, 3, 4, 5, 6] and others == ()


@both
def test_images_that_cannot_be_read_are_counted_and_say_what_to_do(tmp_path, kind):
    files = {"a/1.png": image(), "b/1.HEIC": HEIC, "b/2.jpg": HEIC, "b/3": HEIC, "b/4.heic": b"x"}
    files |= {"b/5.nef": image("TIFF"), "b/6": image()[:30]}
    found, others = read(make(tmp_path / "set", files, kind))
    assert found.pop("a/1.png") == 0 and others == () and len(found) == 6
    for name in ("b/1.HEIC", "b/2.jpg", "b/3"):
        assert found[name] == "HEIC, which Pillow cannot read: convert it to PNG or JPEG"
    assert found["b/5.nef"].startswith("camera raw")
    assert found["b/4.heic"] == "not an image that Pillow can read"
    assert "cut off" in found["b/6"]


@both
def test_other_files_are_counted_and_hidden_ones_are_not(tmp_path, kind):
    files = {"a/1.png": image(), "a/notes.txt": b"x", "b.TXT": b"", "LICENSE": b"MIT", "c.h5": b"x"}
    files |= {".hidden": b"x", "__MACOSX/._1.png": b"x", "film.mov": b"\0\0\0\x14ftypqt  "}
    found, others = read(make(tmp_path / "set", files, kind))
    assert list(found) == ["a/1.png"]
    assert sorted(others) == ["LICENSE", "a/notes.txt", "b.TXT", "c.h5", "film.mov"]


def test_only_regular_files_are_opened(tmp_path):
    path = make(tmp_path / "set", {"1.png": image()}, "folder")
    os.mkfifo(tmp_path / "pipe")  # would block a reader for ever
    os.mkfifo(path / "pipe.png")
    os.symlink(tmp_path / "pipe", path / "to_pipe.png")
    os.symlink(tmp_path / "pipe", path / "to_pipe")
    os.symlink("/dev/zero", path / "to_device.png")  # never ends
    os.symlink("itself.png", path / "itself.png")
    os.symlink("itself", path / "itself")
    os.symlink(tmp_path / "gone.png", path / "gone.png")
    found, others = read(path)
    assert found.pop("1.png") == 0 and sorted(others) == ["itself", "pipe.png", "to_pipe"]
    assert found == {
        "itself.png": "Too many levels of symbolic links",
        "gone.png": "No such file or directory",
        "to_pipe.png": "not a regular file but a pipe",
        "to_device.png": "not a regular file but a device",
    }


@pytest.mark.parametrize("name", ["pipe", "to_device", "itself", "image.png"])
def test_a_path_that_is_neither_folder_nor_zip(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "to_device")
    os.symlink("itself", tmp_path / "itself")
    (tmp_path / "image.png").write_bytes(image())
    with pytest.raises(DatasetError, match=r"neither a folder nor|does not exist") as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("whole", "changed"),
    [("b/é.png".encode(), b"b/\xff\xff.png"), (b"\x14\0\0\x08", b"\xff\0\0\x08")],
    ids=["name", "version"],
)
def test_a_zip_with_an_odd_directory_gives_one_line(tmp_path, whole, changed):
    path = make(tmp_path / "set", {"a/1.png": image(), "b/é.png": image()}, "zip")
    data = path.read_bytes()
    assert whole in data[data.index(b"PK\1\2") :]
    path.write_bytes(data.replace(whole, changed))
    with pytest.raises(DatasetError, match="neither a folder nor an intact zip") as error:
        read(path)
    assert "\n" not in str(error.value)
