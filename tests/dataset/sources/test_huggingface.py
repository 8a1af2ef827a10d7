import sys
from io import BytesIO
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dataset.config import DatasetConfig
from dataset.errors import DamagedImage, DatasetError
from dataset.sources.huggingface import open_huggingface


def png(value):
    buffer = BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


class Rows:
    """As much of a datasets.Dataset as is used."""

    def __init__(self, columns, features):
        self.columns, self.features = columns, features

    column_names = property(lambda self: list(self.columns))

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __iter__(self):
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def unique(self, column):
        return list(dict.fromkeys(self.columns[column]))

    def select_columns(self, names):
        return Rows({name: self.columns[name] for name in names}, self.features)

    def cast_column(self, name, feature):
        if not isinstance(self.columns[name][0], dict):
            raise TypeError("Couldn't cast array of type double\nto Image")
        return self


class ClassLabel:
    def __init__(self, names):
        self.names, self.dtype = names, "int64"


@pytest.fixture
def library(monkeypatch, tmp_path):
    module = ModuleType("datasets")
    module.ClassLabel = ClassLabel
    module.Image = lambda decode: None
    (tmp_path / "file.png").write_bytes(png(30))
    cells = [{"bytes": png(10)}, {"bytes": None, "path": str(tmp_path / "file.png")}, None]
    cells.append({"bytes": png(40)[:-30]})
    module.columns = {
        "image": cells,
        "label": [1, 0, -1, None],
        "kind": ["z", "a", None, "z"],
        "score": [0.1, 0.2, 0.3, 0.4],
    }
    module.features = {
        "label": ClassLabel(["cat", "dog"]),
        "kind": SimpleNamespace(dtype="string"),
        "score": SimpleNamespace(dtype="float64"),
    }
    module.asked = []

    def load_dataset(name, split):
        module.asked.append((name, split))
        if name == "no/such":
            raise ConnectionError("offline\nsecond line")
        return Rows(module.columns, module.features)

    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def read(roots=(), **fields):
    fields = {"source": "huggingface", "name": "user/set", **fields}
    config = DatasetConfig.model_validate(fields)
    with open_huggingface(config, roots) as source:
        return source, list(source.records)


def value(record):
    try:
        return np.asarray(record.load())[0, 0].item()
    except DamagedImage as error:
        return str(error)


def test_class_labels_bytes_files_and_gaps(library):
    source, records = read(split="train[:4]")
    assert library.asked == [("user/set", "train[:4]")]
    assert source.label_names == ("cat", "dog") and source.count == 4
    assert [record.label for record in records] == [1, 0, -1, -1]
    first, second, absent, truncated = map(value, records)
    assert (first, second, absent) == (10, 30, "no image in this row")
    assert isinstance(truncated, str)


def test_plain_columns_as_labels_and_no_labels(library):
    source, records = read(label_column="kind")
    assert source.label_names == ("a", "z")
    assert [record.label for record in records] == [1, 0, -1, 1]
    library.columns["kind"] = ["10", "9", None, "10"]
    assert read(label_column="kind")[0].label_names == ("9", "10")  # in natural order
    source, records = read(label_column=None)
    assert source.label_names == () and {record.label for record in records} == {-1}


def test_captions_are_a_column_beside_the_classes(library):
    library.columns["text"] = ["a  cat", None, ["", "two\ndogs"], 3]
    captions = {"kind": "column"}
    source, records = read(captions=captions)
    assert [record.caption for record in records] == ["a cat", "", "two dogs", ""]
    assert source.label_names == ("cat", "dog") and records[0].label == 1
    with pytest.raises(DatasetError, match=r"dataset\.captions\.column: .* no column 'words'"):
        read(captions=captions | {"column": "words"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_column": "img"}, "image_column: user/set has no column 'img', only image, label"),
        ({"label_column": "fine"}, "no column 'fine'.*or null for no labels"),
        ({"label_column": "score"}, "not classes"),
        ({"image_column": "score"}, "holds no images"),
        ({"name": "no/such"}, r"no/such \(split train\) cannot be loaded.*offline"),
    ],
)
def test_errors_are_one_line(library, fields, message):
    with pytest.raises(DatasetError, match=message) as error:
        read(**fields)
    assert "\n" not in str(error.value)


def test_a_local_folder_is_found_among_the_roots(library, tmp_path):
    (tmp_path / "set").mkdir()
    read(roots=(tmp_path,), name="set")
    assert library.asked == [(str(tmp_path / "set"), "train")]


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetError, match="pip install datasets"):
        read()


def test_with_the_real_library(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    cells = [{"bytes": png(v), "path": None} for v in (10, 20, 30)]
    rows = datasets.Dataset.from_dict({"image": cells, "label": [1, 0, 1]}, features=features)
    rows.save_to_disk(str(tmp_path / "rows"))
    datasets.DatasetDict({"test": rows}).save_to_disk(str(tmp_path / "splits"))
    (tmp_path / "files").mkdir()
    rows.to_parquet(str(tmp_path / "files" / "train.parquet"))
    for name, split in [("rows", "train"), ("splits", "test"), ("files", "train")]:
        source, records = read(roots=(tmp_path,), name=name, split=split)
        assert source.label_names == ("cat", "dog") and source.count == 3
        assert [(value(r), r.label) for r in records] == [(10, 1), (20, 0), (30, 1)]
    with pytest.raises(DatasetError, match="cannot be loaded"):
        read(roots=(tmp_path,), name="splits", split="train")
