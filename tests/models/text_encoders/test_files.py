"""Where the files of a frozen encoder are looked for, and what is said where they are not there."""

import json
import sys
import zipfile
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from models.text_encoders.errors import EncoderError
from models.text_encoders.files import EncoderFiles, stored_files

frozen = SimpleNamespace(**run_path(str(Path(__file__).with_name("test_frozen.py"))))


def test_a_zip_and_a_folder_beside_the_weights_hold_the_same_encoder(tmp_path):
    folder = frozen.folder_of(tmp_path / "text_encoder", frozen.bert_tensors())
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"model/{file.name}")
    found = [EncoderFiles(str(place), "?") for place in (folder, tmp_path / "model.zip")]
    stored = {"sha256": found[0].sha256, "near": [str(tmp_path)]}
    found.append(stored_files("/not/there", "?", stored))
    assert len({files.sha256 for files in found}) == 1
    assert all(files.config() == {"num_attention_heads": frozen.HEADS} for files in found)


@pytest.mark.parametrize(
    ("changes", "same"),
    [({"num_attention_heads": 1}, False), ({"_name_or_path": "x", "dtype": "float16"}, True)],
)
def test_the_same_weights_with_another_architecture_are_another_encoder(tmp_path, changes, same):
    folder = frozen.folder_of(tmp_path / "one", frozen.bert_tensors())
    before = EncoderFiles(str(folder), "?")
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    after = EncoderFiles(str(folder), "?")
    assert (after.sha256 == before.sha256) is same
    if not same:
        with pytest.raises(EncoderError, match="is another encoder"):
            after.refuse_other({"sha256": before.sha256})


def test_the_encoder_beside_the_weights_is_taken_where_another_lies_at_the_path(tmp_path):
    (tmp_path / "weights").mkdir()
    right = frozen.folder_of(tmp_path / "weights" / "text_encoder", frozen.bert_tensors())
    other = frozen.folder_of(tmp_path / "other", frozen.clip_tensors())
    stored = {"sha256": EncoderFiles(str(right), "?").sha256, "near": [str(right.parent)]}
    assert stored_files(str(other), "?", stored).place == str(right)
    told = "is another encoder .* a folder text_encoder beside the weights would be taken too"
    with pytest.raises(EncoderError, match=told):
        stored_files(str(other), "?", stored | {"near": [str(tmp_path)]})


def test_a_copy_of_the_files_is_the_same_encoder(tmp_path):
    folder = frozen.folder_of(tmp_path / "encoder", frozen.bert_tensors())
    (folder / "LICENSE.txt").write_text("as you like")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    files = EncoderFiles(str(folder), "?")
    files.copy_to(tmp_path / "copy")
    copied = EncoderFiles(str(tmp_path / "copy"), "?")
    assert copied.sha256 == files.sha256 and copied.config() == files.config()
    names = {path.name for path in (tmp_path / "copy").iterdir()}
    assert names == {path.name for path in folder.iterdir()} - {"pytorch_model.bin"}


@pytest.mark.parametrize("kind", ["static", "minilm", "clip"])
def test_a_folder_that_is_not_there_is_one_line(tmp_path, kind):
    with pytest.raises(ValueError, match=r"model\.text\.path: .*nowhere is neither") as error:
        frozen.table_of(kind, tmp_path / "nowhere", frozen.CAPTIONS)
    assert "\n" not in str(error.value)


def test_missing_and_damaged_files_are_named(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")  # which is not looked at
    with pytest.raises(ValueError, match=r"holds no weights \(.safetensors or .npy\)"):
        EncoderFiles(str(folder), "install it")
    (folder / "a.safetensors").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"holds no tokenizer\.json: install it"):
        EncoderFiles(str(folder), "install it")
    (tmp_path / "a.zip").write_bytes(b"none")
    with pytest.raises(ValueError, match="no intact zip"):
        EncoderFiles(str(tmp_path / "a.zip"), "install it")


def test_without_the_library_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    save_file({"x": torch.zeros(2, 2)}, tmp_path / "a.safetensors")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match="pip install tokenizers") as error:
        frozen.table_of("static", tmp_path, frozen.CAPTIONS)
    assert "\n" not in str(error.value)
