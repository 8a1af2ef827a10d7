"""A folder of captioned pictures, prepared: labels are captions, folders are groups."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset


def pictures(folder, count=24, caption="picture {number} of a {kind}"):
    """Distinct pictures of cats and dogs in two folders, with a .txt beside each."""
    draw = np.random.default_rng(0)
    for number in range(count):
        kind = ("cat", "dog")[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / kind / f"{number:02d}.png")
        text = caption.format(number=number, kind=kind)
        if text:
            (folder / kind / f"{number:02d}.txt").write_text(text + "\nde.utf8=Bild\n")
    return folder


def prepare(folder, out, **fields):
    fields = {"captions": {"kind": "txt"}} | fields
    config = DatasetConfig.model_validate(
        {"source": "image_folder", "path": str(folder), "resolution": 8, **fields}
    )
    return prepare_dataset(config, out), config


def test_labels_are_captions_and_folders_are_groups(tmp_path):
    manifest, _ = prepare(pictures(tmp_path / "set"), tmp_path / "out")
    data = ImageDataset(tmp_path / "out")
    assert manifest["num_captions"] == data.num_classes == 24
    assert data.group_names == ["cat", "dog"] and data.num_groups == 2
    for number in range(24):
        kind, position = number % 2, number // 2 + 12 * (number % 2)  # in the order of the paths
        assert data.label_names[data.labels[position]] == (
            f"picture {number} of a {['cat', 'dog'][kind]}"
        )
        assert data.group_labels[position] == kind
    assert len(data.held_out_indices) == manifest["num_held_out"] > 2  # none is left out
    trained = {data.label_names[label] for label in data.labels[data.train_indices]}
    assert set(data.trained_names) == trained and len(trained) < 24
    assert manifest["other_files"] == {} and "24 distinct captions" in manifest["remarks"][-1]
    assert (data.groups_of(data.labels) == data.group_labels).all()
    assert data.groups_of(np.array([-1])).tolist() == [-1]


def test_captions_of_several_groups_have_none(tmp_path):
    prepare(pictures(tmp_path / "set", caption="an animal"), tmp_path / "out")
    data = ImageDataset(tmp_path / "out")
    assert data.label_names == ["an animal"] and set(data.labels) == {0}
    assert data.groups_of(np.array([0, 0])).tolist() == [-1, -1]
    assert set(data.group_labels) == {0, 1}


def test_images_without_a_caption_and_without_a_folder(tmp_path):
    folder = pictures(tmp_path / "set" / "x")
    (folder / "cat" / "00.txt").unlink()
    (folder / "cat" / "02.txt").write_text("\n \n")
    manifest, _ = prepare(folder, tmp_path / "out", class_level=0)
    data = ImageDataset(tmp_path / "out")
    assert (data.labels == -1).sum() == 2 and (data.group_labels == -1).all()
    assert data.num_groups == 0 and data.num_classes == 22
    assert manifest["remarks"][-1].startswith("2 of 24 images have no caption")


def test_the_content_hash_has_captions_and_no_captions_leave_all_as_it_was(tmp_path):
    folder = pictures(tmp_path / "set")
    plain, config = prepare(folder, tmp_path / "plain", captions=None)
    assert (
        not (tmp_path / "plain" / "groups.npy").exists() and "captions" not in config.model_dump()
    )
    first, _ = prepare(folder, tmp_path / "out")
    (folder / "cat" / "00.txt").write_text("another one")
    second, _ = prepare(folder, tmp_path / "out")
    assert len({m["content_hash"] for m in (plain, first, second)}) == 3
    prepare(folder, tmp_path / "out", captions=None)  # nothing of the captions is left behind
    assert ImageDataset(tmp_path / "out").label_names == ["cat", "dog"]


def test_a_zip_is_read_as_its_folder(tmp_path):
    folder = pictures(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    from_folder, _ = prepare(folder, tmp_path / "a")
    from_zip, _ = prepare(tmp_path / "set.zip", tmp_path / "b")
    assert from_zip["content_hash"] == from_folder["content_hash"]


@pytest.mark.parametrize("name", ["captions.csv", "captions.jsonl"])
def test_captions_of_a_table(tmp_path, name):
    folder = pictures(tmp_path / "set", caption="")
    rows = [{"file": f"cat/{n:02d}.png", "words": f"cat, {n}"} for n in range(0, 24, 2)]
    rows += [{"file": "05.png", "words": "by its\nname alone"}, {"file": "05.png", "words": "no"}]
    lines = [json.dumps(row) for row in rows]
    if name.endswith("csv"):
        lines = ["file,words"] + [f'{row["file"]},"{row["words"]}"' for row in rows]
    (folder / name).write_text("\n".join(lines))
    table = {"kind": "table", "file": name, "image_column": "file", "text_column": "words"}
    prepare(folder, tmp_path / "out", captions=table)
    data = ImageDataset(tmp_path / "out")
    assert data.label_names[data.labels[1]] == "cat, 2" and (data.labels == -1).sum() == 11
    assert data.label_names[data.labels[12 + 2]] == "by its name alone"


def test_a_json_string_may_hold_what_python_takes_for_the_end_of_a_line(tmp_path):
    folder = pictures(tmp_path / "set", caption="")
    texts = {0: "first\u2028second", 2: "next\u0085line", 4: "form\u2029feed"}
    rows = [{"file_name": f"cat/{n:02d}.png", "text": text} for n, text in texts.items()]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "a.jsonl").write_bytes("\r\n".join([*lines, "", ""]).encode())
    prepare(folder, tmp_path / "out", captions={"kind": "table", "file": "a.jsonl"})
    data = ImageDataset(tmp_path / "out")
    assert [data.label_names[data.labels[position]] for position in range(3)] == [
        "first second",
        "next line",
        "form feed",
    ]


@pytest.mark.parametrize("inside", [True, False])
def test_a_table_is_read_whole_or_refused(tmp_path, monkeypatch, inside):
    folder = pictures(tmp_path / "set", caption="")
    table = (folder if inside else tmp_path) / "a.csv"
    rows = [f"{n:02d}.png,picture {n}\n" for n in range(24)]
    table.write_text("".join(["file_name,text\n", *rows]))
    captions = {"kind": "table", "file": "a.csv" if inside else str(table)}
    monkeypatch.setattr("dataset.sources.captions.read.MOST_BYTES", table.stat().st_size)
    prepare(folder, tmp_path / "out", captions=captions)
    assert ImageDataset(tmp_path / "out").num_classes == 24
    with table.open("a") as file:
        file.write("\n")
    with pytest.raises(DatasetError, match=r"\.file: .*a\.csv is larger than \d+ bytes") as error:
        prepare(folder, tmp_path / "out", captions=captions)
    assert "\n" not in str(error.value) and "leave out the columns" in str(error.value)


@pytest.mark.parametrize(
    ("captions", "told"),
    [
        (
            {"kind": "txt"},
            "no .txt file beside an image: put the caption of cat/00.png into",
        ),
        ({"kind": "table", "file": "no.csv"}, "no.csv lies neither among the images nor in"),
        ({"kind": "table", "file": "a.csv"}, "a.csv has no column 'text' in row 2, only file_name"),
        ({"kind": "table", "file": "a.csv", "text_column": "is"}, "has no caption of any image"),
        ({"kind": "table", "file": "b.jsonl"}, "b.jsonl cannot be read (Expecting value"),
    ],
)
def test_a_place_without_captions_is_one_line(tmp_path, captions, told):
    folder = pictures(tmp_path / "set", caption="")
    (folder / "a.csv").write_text("file_name,is\nother.png,a cat\n")
    (folder / "b.jsonl").write_text("no\n")
    with pytest.raises(DatasetError) as error:
        prepare(folder, tmp_path / "out", captions=captions)
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not list((tmp_path / "out").iterdir())


def test_captions_belong_to_their_source():
    with pytest.raises(ValueError, match="captions of kind txt belong to source image_folder"):
        DatasetConfig.model_validate({"captions": {"kind": "txt"}})
    with pytest.raises(ValueError, match="belong to source huggingface"):
        DatasetConfig.model_validate(
            {"source": "image_folder", "path": "x", "captions": {"kind": "column"}}
        )


def test_damaged_captions_are_named(tmp_path):
    prepare(pictures(tmp_path / "set"), tmp_path / "out")
    file = tmp_path / "out" / "captions.json"
    content = json.loads(file.read_text())
    for damaged in ({"captions": content["captions"][:3], "trained": 1}, {}, {"captions": 3}):
        file.write_text(json.dumps(damaged))
        with pytest.raises(DatasetError, match=r"captions\.json .*run the prepare stage again"):
            ImageDataset(tmp_path / "out")
