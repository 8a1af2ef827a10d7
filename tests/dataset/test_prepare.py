import hashlib
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import PIL
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dataset import prepare as prepare_module
from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.prepare import FILES, prepare_dataset
from dataset.sources.record import Source, SourceKind
from dataset.sources.table import SOURCES
from dataset.store import ImageDataset


def colour(seed, size=(10, 10)):
    shape = (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def bytes_of(image, kind="PNG"):
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def folder_config(path, **fields):
    return DatasetConfig(source="image_folder", path=str(path), **{"resolution": 8, **fields})


@pytest.fixture
def photos(tmp_path):
    """Two classes of 20 colour images."""
    for i in range(40):
        file = tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        colour(i).save(file)
    return tmp_path / "photos"


def test_digits_end_to_end(tmp_path):
    calls = []
    manifest = prepare_dataset(DatasetConfig(), tmp_path, lambda *done: calls.append(done))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)
    assert manifest == json.loads((tmp_path / "dataset.json").read_text())
    assert calls == [(i, 1797) for i in range(1, 1798)]
    data = ImageDataset(tmp_path)
    digits = load_digits()
    assert (data.images[..., 0] == np.floor(digits.images * 255 / 16 + 0.5)).all()
    assert (data.labels == digits.target).all()
    assert manifest["class_counts"] == np.bincount(digits.target).tolist()
    assert manifest["num_train"] + manifest["num_held_out"] == manifest["num_images"] == 1797
    assert abs(manifest["num_held_out"] / 1797 - 0.25) < 0.04
    assert (manifest["skipped"], manifest["source"]) == ([], "digits")
    assert manifest["versions"] == {"numpy": np.__version__, "pillow": PIL.__version__}
    units = data.stored(range(1797))[0] / 127.5 - 1
    np.testing.assert_allclose(manifest["mean"], [units.mean()], rtol=1e-6)
    np.testing.assert_allclose(manifest["std"], [units.std()], rtol=1e-6)


def test_content_hash_is_of_images_labels_and_split(photos, tmp_path):
    first = prepare_dataset(folder_config(photos), tmp_path / "a")
    data = ImageDataset(tmp_path / "a")
    digest = hashlib.sha256(data.images.tobytes() + data.labels.tobytes() + data.split.tobytes())
    assert first["content_hash"] == digest.hexdigest()
    again = prepare_dataset(folder_config(photos), tmp_path / "b")
    assert again == first
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (photos / "a" / "00.png").rename(photos / "b" / "00.png")  # another label, the same pixels
    assert (
        prepare_dataset(folder_config(photos), tmp_path / "c")["content_hash"]
        != again["content_hash"]
    )


def test_a_zip_gives_what_its_folder_gives(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(photos.rglob("*.png"), reverse=True):
            archive.write(file, file.relative_to(tmp_path))
    from_folder = prepare_dataset(folder_config(photos), tmp_path / "a")
    from_zip = prepare_dataset(folder_config(tmp_path / "photos.zip"), tmp_path / "b")
    assert from_zip["content_hash"] == from_folder["content_hash"]
    assert from_zip["label_names"] == ["a", "b"] and from_zip["class_counts"] == [20, 20]


def test_mixed_modes_and_shapes_become_what_is_asked(photos, tmp_path):
    flat = Image.new("RGB", (16, 8), "blue")
    flat.paste(Image.new("RGB", (8, 8), (200, 100, 50)), (4, 0))  # what a centre crop leaves
    for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "CMYK"):
        kind = "TIFF" if mode == "CMYK" else "PNG"
        image = flat.convert(mode) if mode != "P" else flat.quantize(4)
        (photos / "a" / f"z_{mode}.{kind.lower()}").write_bytes(bytes_of(image, kind))
    manifest = prepare_dataset(folder_config(photos, channels=3), tmp_path / "out")
    assert (manifest["channels"], manifest["num_images"]) == (3, 47)
    images = ImageDataset(tmp_path / "out").images[20:27]  # the z_ files, sorted by name
    luma = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    expected = {"1": None, "L": [luma] * 3, "LA": [luma] * 3}
    for mode, image in zip(["1", "CMYK", "L", "LA", "P", "RGB", "RGBA"], images, strict=True):
        wanted = expected.get(mode, [200, 100, 50])
        if wanted is not None:
            np.testing.assert_allclose(image, np.broadcast_to(wanted, (8, 8, 3)), atol=1)
    grey = prepare_dataset(folder_config(photos, channels=1), tmp_path / "grey")
    assert grey["channels"] == 1 and len(grey["mean"]) == 1


@pytest.mark.parametrize("grey_name", ["0.png", "zz.png"])
def test_a_mix_of_grey_and_colour_must_be_decided(photos, tmp_path, grey_name):
    colour(0).convert("L").save(photos / "a" / grey_name)
    with pytest.raises(DatasetError, match=f"a/{grey_name}.*set channels to 1") as error:
        prepare_dataset(folder_config(photos), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def grey_from_palette(seed):
    """A grey picture whose palette also holds a red that it does not show."""
    image = colour(seed).convert("L").point(lambda v: 1 + v // 86).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 0, 80, 80, 80, 255, 255, 255])
    return image


def test_greys_from_palettes_go_with_the_others(photos, tmp_path):
    grey = tmp_path / "grey"
    grey.mkdir()
    for i in range(20):
        (grey_from_palette(i) if i % 3 == 0 else colour(i).convert("L")).save(grey / f"{i:02}.png")
    assert prepare_dataset(folder_config(grey), tmp_path / "a")["channels"] == 1
    for name in ("a/0.png", "b/zz.png"):  # before all colour images, and after them
        grey_from_palette(7).save(photos / name)
    assert prepare_dataset(folder_config(photos), tmp_path / "b")["channels"] == 3
    images = ImageDataset(tmp_path / "b").images
    assert len(images) == 42 and (images[0] == images[-1]).all()
    assert (images[0] == images[0][..., :1]).all()
    colour(3).convert("L").save(photos / "b" / "zz_grey.png")
    with pytest.raises(DatasetError, match=r"finds a/00.png colour but b/zz_grey.png grey"):
        prepare_dataset(folder_config(photos), tmp_path / "out")


def test_damaged_files_are_skipped_named_and_leave_no_holes(photos, tmp_path):
    clean = prepare_dataset(folder_config(photos), tmp_path / "clean")
    (photos / "a" / "01.png").write_bytes(bytes_of(colour(99))[:-40])
    (photos / "b" / "zz.jpg").write_text("hello")
    with pytest.raises(
        DatasetError, match=r"2 of 42 .*max_bad_fraction is 0.01.*a/01.png \("
    ) as error:
        prepare_dataset(folder_config(photos), tmp_path / "out")
    assert "\n" not in str(error.value)
    manifest = prepare_dataset(folder_config(photos, max_bad_fraction=0.05), tmp_path / "out")
    assert [item["file"] for item in manifest["skipped"]] == ["a/01.png", "b/zz.jpg"]
    assert "0x" not in json.dumps(manifest["skipped"])
    without = {key: value for key, value in manifest.items() if key != "skipped"}
    assert without == {key: value for key, value in clean.items() if key != "skipped"}


def test_an_icon_with_a_picture_far_larger_than_it_says_is_skipped(photos, tmp_path):
    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9_500, 9_500, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 24, len(bomb), 22)
    (photos / "a" / "zz.ico").write_bytes(b"\0\0\1\0\1\0" + entry + bomb)
    manifest = prepare_dataset(folder_config(photos, max_bad_fraction=0.1), tmp_path / "out")
    assert [item["file"] for item in manifest["skipped"]] == ["a/zz.ico"]
    assert "decompression bomb" in manifest["skipped"][0]["reason"]


def test_nothing_readable(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_text("hello")
    with pytest.raises(DatasetError, match=r"1 of 1 images of .*not an image"):
        prepare_dataset(folder_config(tmp_path / "in", max_bad_fraction=1), tmp_path / "out")


def test_too_few_images(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        colour(i).save(tmp_path / "in" / f"{i}.png")
    with pytest.raises(DatasetError, match=r"3 images .*give at least"):
        prepare_dataset(folder_config(tmp_path / "in"), tmp_path / "out")


def test_copies_never_straddle_the_split(photos, tmp_path):
    for i, file in enumerate(sorted(photos.rglob("*.png"))):
        (file.parent / f"copy_{i}.png").write_bytes(file.read_bytes())
    manifest = prepare_dataset(folder_config(photos), tmp_path / "out")
    assert (manifest["num_images"], manifest["num_distinct"]) == (80, 40)
    data = ImageDataset(tmp_path / "out")
    sides = {image.tobytes(): set() for image in data.images}
    for image, side in zip(data.images, data.split, strict=True):
        sides[image.tobytes()].add(side)
    assert all(len(side) == 1 for side in sides.values())


def test_a_class_without_readable_images_is_dropped(photos, tmp_path):
    (photos / "aa").mkdir()
    (photos / "aa" / "bad.png").write_text("hello")
    manifest = prepare_dataset(folder_config(photos, max_bad_fraction=0.1), tmp_path / "out")
    assert (manifest["label_names"], manifest["empty_classes"]) == (["a", "b"], ["aa"])
    assert manifest["class_counts"] == [20, 20]
    assert np.bincount(ImageDataset(tmp_path / "out").labels).tolist() == [20, 20]


def test_unlabelled(photos, tmp_path):
    manifest = prepare_dataset(folder_config(photos / "a"), tmp_path / "out")
    assert (manifest["num_classes"], manifest["label_names"]) == (0, [])
    assert (manifest["class_counts"], manifest["num_unlabelled"]) == ([], 20)
    assert set(ImageDataset(tmp_path / "out").labels.tolist()) == {-1}


def test_a_failed_run_leaves_the_old_set_and_no_litter(photos, tmp_path):
    out = tmp_path / "out"
    prepare_dataset(DatasetConfig(), out)
    old = {name: (out / name).read_bytes() for name in FILES}
    (photos / "b" / "zz.png").write_text("hello")
    with pytest.raises(DatasetError):
        prepare_dataset(folder_config(photos), out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == old


def test_a_crash_between_the_renames_leaves_no_finished_set(photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare_dataset(DatasetConfig(), out)
    replace = os.replace

    def crash(source, target):
        if target.name == "labels.npy":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(prepare_module.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(folder_config(photos), out)
    with pytest.raises(DatasetError, match="no finished data set"):
        ImageDataset(out)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Pixels of 250 further images are 7 MB; what is held for them is labels and hashes."""
    data = [bytes_of(Image.new("RGB", (8, 8), (i, 7 * i % 256, 0))) for i in range(50)]

    def peak(count):
        path = tmp_path / f"{count}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for i in range(count):
                archive.writestr(f"{i}.png", data[i % 50])
        tracemalloc.start()
        try:
            prepare_dataset(folder_config(path, resolution=96), tmp_path / "out")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50)  # imports and caches
    few, many = peak(50), peak(300)
    assert (tmp_path / "out" / "images.npy").stat().st_size > 300 * 96 * 96 * 3
    assert many - few < 1_000_000, (few, many)


def test_an_empty_source(tmp_path, monkeypatch):
    @contextmanager
    def empty(config, roots):
        yield Source((), 0, [])

    nothing = SourceKind(empty, lambda config: None)
    monkeypatch.setitem(SOURCES, "image_folder", nothing)
    with pytest.raises(DatasetError, match="photos holds no images"):
        prepare_dataset(folder_config("photos"), tmp_path)
