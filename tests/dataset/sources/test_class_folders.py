"""Which folder names a class, and what is told of spellings that change the meaning."""

import os
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.prepare import prepare_dataset
from dataset.sources.class_folders import class_folders, is_no_data, path_parts, remarks_on_spelling
from dataset.sources.image_folder import open_image_folder


def png(seed):
    buffer = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def found(names, level=1):
    paths = sorted(path_parts(name) for name in names)
    classes = class_folders(paths, level, "set")
    return classes.names, classes.labels


def remarks(names, level=1):
    return class_folders(sorted(path_parts(name) for name in names), level, "set").remarks


def prepared(path, out, **settings):
    return prepare_dataset(DatasetConfig(source="image_folder", path=str(path), **settings), out)


def test_backslashes_in_a_zip_are_folders(tmp_path):
    for name, border in (("unix", "/"), ("windows", "\\")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for i in range(40):
                archive.writestr(f"{'ab'[i % 2]}{border}{i:03}.png", png(i))
            archive.writestr(f"__MACOSX{border}a{border}000.png", b"")
    unix, windows = (prepared(tmp_path / f"{n}.zip", tmp_path / n) for n in ("unix", "windows"))
    assert windows["label_names"] == ["a", "b"] and windows["class_counts"] == [20, 20]
    assert windows["content_hash"] == unix["content_hash"] and unix["remarks"] == []
    (remark,) = windows["remarks"]
    assert r"names with a backslash (40, such as a\000.png)" in remark


def test_what_systems_leave_behind_is_no_class(tmp_path):
    left = ["@eaDir", "__MACOSX", ".thumbnails", "._x", "#recycle", "$RECYCLE.BIN", "lost+found"]
    for number, name in enumerate(["a", "b", *left, "a/@eaDir", "b/.thumbnails"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(number))
    config = DatasetConfig(source="image_folder", path=str(tmp_path))
    with open_image_folder(config, (tmp_path,)) as source:
        assert source.label_names == ("a", "b") and source.count == 2
    assert all(map(is_no_data, left)) and not is_no_data("macosx")


def test_numbered_classes_stand_in_the_order_of_their_numbers():
    names, labels = found([f"{number}/x.png" for number in range(12)])
    assert names == tuple(str(number) for number in range(12))
    assert labels == [0, 1, 10, 11, *range(2, 10)]  # images stay in the order of code points


def test_the_level_chooses_the_folder_that_names_the_class():
    split = ["train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/deep/4.png"]
    assert found(split) == (("train", "val"), [0, 0, 1, 1])
    assert found(split, 2) == (("cat", "dog"), [0, 1, 0, 1])
    assert found([f"set/{name}" for name in split], 2) == (("cat", "dog"), [0, 1, 0, 1])
    assert found(split, 0) == ((), [-1] * 4)
    assert found(["1.png", "a/2.png"], 0) == ((), [-1] * 2)
    with pytest.raises(
        DatasetError, match=r"is 3, but set holds train/cat/1\.png, at level 2: lower"
    ):
        found(split, 3)
    with pytest.raises(
        DatasetError, match=r"cat/1\.png, at level 1 below train/: lower class_level"
    ):
        found(["train/cat/1.png", "train/dog/2.png"], 2)
    with pytest.raises(DatasetError, match=r"move all images .*class_level to 0"):
        found(["1.png", "a/2.png"])


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val"),
        ("Training", "Test"),
        ("train2017", "val2017"),
        ("trainA", "testB", "other"),
    ],
)
def test_splits_taken_for_classes_are_told(folders):
    (deep,) = remarks([f"{folder}/{name}/1.png" for folder in folders for name in "ab"])
    assert f"the folders {folders[0]} and " in deep and "set dataset.class_level to 2" in deep
    (flat,) = remarks([f"{folder}/1.png" for folder in folders])
    assert "set dataset.class_level to 0 for no classes" in flat
    assert remarks([f"{folder}/{name}/1.png" for folder in folders for name in "ab"], 2) == ()


@pytest.mark.parametrize(
    "folders", [("cat", "dog"), ("train", "bus"), ("trains", "value"), ("train 1", "train 2")]
)
def test_other_classes_are_not_taken_for_splits(folders):
    assert remarks([f"{folder}/1.png" for folder in folders]) == ()


def test_classes_that_look_alike_are_told():
    (remark,) = remarks(["Cat/1.png", "cat/2.png", "dog/3.png"])
    assert "'Cat' and 'cat' differ in nothing but case" in remark
    assert len(remarks(["cafe\u0301/1.png", "caf\u00e9/2.png"])) == 1


def test_the_level_is_a_setting_of_params(tmp_path):
    for i in range(40):
        file = tmp_path / "set" / ["train", "val"][i % 4 == 0] / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i))
    (first,) = prepared(tmp_path / "set", tmp_path / "one")["remarks"]
    assert "train and val are taken for classes" in first
    manifest = prepared(tmp_path / "set", tmp_path / "two", class_level=2)
    assert (manifest["label_names"], manifest["remarks"]) == (["a", "b"], [])
    assert prepared(tmp_path / "set", tmp_path / "no", class_level=0)["num_classes"] == 0
    with pytest.raises(ValueError, match="class_level"):
        DatasetConfig(class_level=-1)


def test_names_that_are_not_utf8_are_escaped_and_told(tmp_path):
    folder = os.fsencode(tmp_path) + b"/set/"
    for name in (b"caf\xe9", b"tea"):
        try:
            os.makedirs(folder + name)
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
    for i in range(40):
        with open(folder + [b"caf\xe9", b"tea"][i % 2] + b"/%03d.png" % i, "wb") as file:
            file.write(png(i))
    with open(folder + b"tea/b\xe4d.png", "wb") as file:
        file.write(b"no image")
    manifest = prepared(tmp_path / "set", tmp_path / "out", max_bad_fraction=0.1)
    assert manifest["label_names"] == [r"caf\xe9", "tea"]
    assert [item["file"] for item in manifest["skipped"]] == [r"tea/b\xe4d.png"]
    (remark,) = manifest["remarks"]
    assert r"not UTF-8 (2, such as b\xe4d.png)" in remark
    remark.encode("utf-8")


def test_names_in_zips(tmp_path):
    """UTF-8 with and without its flag (macOS), bytes of a Unix program, code page 437."""
    unix, dos = 3, 0
    cases = {
        "flag": ("né".encode(), unix, 0x800, "né"),
        "mac": ("né".encode(), unix, 0, "né"),
        "latin": (b"n\xe9", unix, 0, r"n\xe9"),
        "dos": ("né".encode("cp437"), dos, 0, "né"),
    }
    for case, (raw, system, flag, shown) in cases.items():
        path = tmp_path / f"{case}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for number, name in enumerate(["a/1.png", "?" * len(raw) + "/2.png"]):
                info = zipfile.ZipInfo(name)
                info.create_system = system
                archive.writestr(info, png(number))
        data = bytearray(path.read_bytes().replace(b"?" * len(raw), raw))
        at = data.rindex(b"PK\x01\x02")  # the last member's entry in the directory
        data[at + 8 : at + 10] = flag.to_bytes(2, "little")
        at = data.rindex(b"PK\x03\x04")
        data[at + 6 : at + 8] = flag.to_bytes(2, "little")
        path.write_bytes(data)
        config = DatasetConfig(source="image_folder", path=str(path))
        with open_image_folder(config, (tmp_path,)) as source:
            assert source.label_names == ("a", shown), case
            for record in source.records:
                record.load()


def test_remarks_on_spelling():
    assert remarks_on_spelling(["a/1.png", "né/2.png"]) == []
    assert len(remarks_on_spelling(["a\\1.png", "n\udce9/2.png", "n\udce9\\3.png"])) == 2
