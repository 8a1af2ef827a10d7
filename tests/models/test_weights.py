"""A pair of files: tensors and their description."""

import json
import os
import resource

import pytest
import torch

from models.weights import WeightsError, load_description, load_tensors, save_weights


def test_goes_round_and_leaves_nothing_beside(tmp_path):
    save_weights(tmp_path / "a.safetensors", {"w": torch.arange(3.0)}, {"kind": "toy"})
    tensors, description = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["w"], torch.arange(3.0)) and description == {"kind": "toy"}
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.safetensors"]


def test_whoever_may_read_the_description_may_read_the_weights(tmp_path):
    before = os.umask(0o022)
    try:
        save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_half_a_pair_is_named(tmp_path):
    save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    (tmp_path / "a.json").unlink()
    with pytest.raises(WeightsError, match=r"a\.json does not exist"):
        load_tensors(tmp_path / "a.safetensors")


def test_tensors_of_another_writing_are_told_from_their_own(tmp_path):
    """A crash between the two renames leaves new tensors beside the old JSON."""
    path = tmp_path / "a.safetensors"
    save_weights(path, {"w": torch.zeros(3)}, {"kind": "old"})
    old = (tmp_path / "a.json").read_text()
    save_weights(path, {"w": torch.ones(3)}, {"kind": "new"})
    (tmp_path / "a.json").write_text(old)
    with pytest.raises(WeightsError, match=r"a\.safetensors is damaged, or its \.json"):
        load_tensors(path)


def test_one_flipped_bit_is_told(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, {"w": torch.zeros(64)}, {})
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        load_tensors(path)


def test_the_format_is_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, {"w": torch.zeros(1)}, {"kind": "toy"})
    written = json.loads((tmp_path / "a.json").read_text())
    del written["format"], written["sha256"]
    (tmp_path / "a.json").write_text(json.dumps(written))  # as format 1 was written
    assert load_tensors(path)[1] == {"kind": "toy"}
    (tmp_path / "a.json").write_text(json.dumps(written | {"format": 99}))
    for load in (load_tensors, load_description):
        with pytest.raises(WeightsError, match=r"a\.json has format 99, and this version reads"):
            load(path)


@pytest.mark.parametrize("text", ["[1]", "null", "{", '"a"'])
def test_other_json_beside_weights_is_one_line(tmp_path, text):
    save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(WeightsError, match=r"a\.json is damaged"):
        load_tensors(tmp_path / "a.safetensors")


def test_no_flipped_bit_and_no_cut_is_read_as_something_else(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, {"w": torch.arange(3.0)}, {"nimg": 320, "kind": "toy"})
    for file in (path, tmp_path / "a.json"):
        whole = file.read_bytes()
        wrong = [whole[:length] for length in range(len(whole) - 1)]  # the last is a line's end
        for at in range(len(whole) - 1):
            for bit in (at % 8, (at + 3) % 8):
                wrong.append(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        read = 0
        for content in wrong:
            file.write_bytes(content)
            try:
                tensors, description = load_tensors(path)
            except WeightsError as error:
                assert "a." in str(error) and "\n" not in str(error)
            else:  # white space and the format's number; the checksums hold whatever they are
                assert torch.equal(tensors["w"], torch.arange(3.0))
                assert description == {"nimg": 320, "kind": "toy"}
                read += 1
        file.write_bytes(whole)
        assert read < 20


def test_numbers_that_are_not_finite_are_told(tmp_path):
    path = tmp_path / "a.safetensors"
    for value in (float("nan"), float("inf")):
        save_weights(path, {"n": torch.arange(2), "w": torch.tensor([1.0, value])}, {})
        with pytest.raises(WeightsError, match=r"a\.safetensors is damaged \(w holds numbers that"):
            load_tensors(path)


def test_a_description_changed_by_hand_is_refused_until_its_checksums_are_removed(tmp_path):
    path, beside = tmp_path / "a.safetensors", tmp_path / "a.json"
    save_weights(path, {"w": torch.zeros(1)}, {"kind": "toy"})
    written = json.loads(beside.read_text()) | {"kind": "mine"}
    beside.write_text(json.dumps(written))
    for load in (load_tensors, load_description):
        with pytest.raises(WeightsError, match=r"a\.json is damaged, or was changed by hand: .*"):
            load(path)
    beside.write_text(json.dumps({"kind": "mine"}))
    assert load_tensors(path)[1] == {"kind": "mine"}


def test_a_file_of_format_2_has_its_tensors_checked(tmp_path):
    path, beside = tmp_path / "a.safetensors", tmp_path / "a.json"
    save_weights(path, {"w": torch.zeros(1)}, {"kind": "toy"})
    written = json.loads(beside.read_text()) | {"format": 2}
    del written["description_sha256"]
    beside.write_text(json.dumps(written))
    assert load_tensors(path)[1] == {"kind": "toy"}
    beside.write_text(json.dumps(written | {"sha256": "0"}))
    with pytest.raises(WeightsError, match=r"is damaged, or its \.json is of other weights"):
        load_tensors(path)
    del written["sha256"]
    beside.write_text(json.dumps(written))
    with pytest.raises(WeightsError, match=r"a\.json is damaged \(it lacks sha256\)"):
        load_tensors(path)


@pytest.mark.parametrize("written", ["[1]", "null", "3", "", "{", "[" * 100_000, '{"format": [2]}'])
def test_odd_json_beside_weights_is_named(tmp_path, written):
    path = tmp_path / "a.safetensors"
    save_weights(path, {"w": torch.zeros(1)}, {})
    (tmp_path / "a.json").write_text(written)
    with pytest.raises(WeightsError, match=r"a\.json (is damaged|has format)") as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_an_os_error_that_names_the_file_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as if no more bytes fitted
    try:
        with pytest.raises(OSError, match=r"a\.safetensors cannot be written"):
            save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
