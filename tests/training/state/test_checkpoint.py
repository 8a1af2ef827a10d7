"""Checkpoint files: damage is found, named and set aside; what is whole stays."""

import hashlib
import json
import resource

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.state.checkpoint import (
    CheckpointError,
    OtherFormat,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    load_latest,
    save_checkpoint,
)


def save(folder, nimg):
    return save_checkpoint(folder, nimg, {"w": torch.full((4,), float(nimg))}, {"nimg": nimg})


def damage(path, at=-3):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_the_newest_two_are_kept(tmp_path):
    for nimg in (16, 32, 48):
        save(tmp_path, nimg)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        checkpoint_path(tmp_path, nimg).name for nimg in (32, 48)
    ]
    tensors, plain = load_latest(tmp_path, print)
    assert plain == {"nimg": 48} and tensors["w"][0] == 48


def test_a_new_checkpoint_outlives_damaged_ones_of_higher_count(tmp_path):
    """Two damaged ones were the newest two, and each new checkpoint was removed at once."""
    for nimg in (64, 80):
        damage(save(tmp_path, nimg))
    save(tmp_path, 48)
    said = []
    assert load_latest(tmp_path, said.append)[1] == {"nimg": 48}
    assert len(said) == 2 and all("is damaged" in line for line in said)
    save(tmp_path, 64)  # the run has come so far again
    assert load_latest(tmp_path, print)[1] == {"nimg": 64}


def test_where_nothing_can_be_renamed_the_new_one_still_stays(tmp_path, monkeypatch):
    for nimg in (64, 80):
        damage(save(tmp_path, nimg))

    def refuse(source, target):
        raise OSError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr("training.state.checkpoint.os.replace", refuse)
        assert load_latest(tmp_path, lambda text: None) is None
    path = save(tmp_path, 16)
    assert path.exists() and load_checkpoint(path)[1] == {"nimg": 16}


def test_damage_is_set_aside_under_another_name(tmp_path):
    path = save(tmp_path, 16)
    damage(path)
    said = []
    assert load_latest(tmp_path, said.append) is None
    assert [p.name for p in tmp_path.iterdir()] == [f"{path.name}.damaged"]
    assert path.name in said[0] and f"{path.name}.damaged" in said[0]


def test_the_plain_part_is_under_the_checksum_too(tmp_path):
    """One flipped bit in it resumed 320 images as 220."""
    path = save(tmp_path, 320)
    content = path.read_bytes()
    assert content.count(b"320}") == 1
    path.write_bytes(content.replace(b"320}", b"220}"))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load_checkpoint(path)


def test_no_flipped_bit_and_no_cut_is_read_as_something_else(tmp_path):
    """A flip in the header, too, such as in a tensor's shape, its name or the format's number."""
    state = {"w": torch.arange(6.0).reshape(2, 3), "u": torch.zeros(2, dtype=torch.bfloat16)}
    path = save_checkpoint(tmp_path, 320, state, {"nimg": 320})
    whole = path.read_bytes()
    wrong = [whole[:length] for length in range(len(whole))]
    for at in range(len(whole)):
        for bit in (at % 8, (at + 3) % 8):
            wrong.append(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    wrong += [whole.replace(b"[2,3]", b"[3,2]"), whole + b"\0"]
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged"):
            load_checkpoint(path)


def test_a_checkpoint_of_the_format_before_is_read_and_checked(tmp_path):
    path, text, tensors = tmp_path / "checkpoint-1.safetensors", '{"nimg": 1}', {"w": torch.ones(3)}
    digest = hashlib.sha256(text.encode() + b"w" + tensors["w"].numpy().tobytes()).hexdigest()
    metadata = {"format": "2", "plain": text, "sha256": digest}
    save_file(tensors, path, metadata=metadata)
    assert load_checkpoint(path)[1] == {"nimg": 1}
    save_file(tensors, path, metadata=metadata | {"plain": '{"nimg": 2}'})
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load_checkpoint(path)


def test_what_the_system_refuses_to_read_is_not_set_aside(tmp_path, monkeypatch):
    path = save(tmp_path, 16)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("training.state.checkpoint.safe_open", refuse)
    with pytest.raises(PermissionError, match=path.name):
        load_latest(tmp_path, print)
    assert path.exists()


def test_the_last_damaged_one_says_that_none_is_before_it(tmp_path):
    for nimg in (16, 32):
        damage(save(tmp_path, nimg))
    said = []
    assert load_latest(tmp_path, said.append) is None
    assert said[0].endswith("the one before is used")
    assert said[1].endswith("no checkpoint is before it")


def test_only_checkpoints_before_a_lost_snapshot_are_looked_at(tmp_path):
    for nimg in (16, 32):
        save(tmp_path, nimg)
    assert load_latest(tmp_path, print, before=32)[1] == {"nimg": 16}
    assert load_latest(tmp_path, print, before=16) is None
    assert len(checkpoints(tmp_path)) == 2


def test_another_versions_checkpoint_is_refused_in_one_line_and_kept(tmp_path):
    path = save(tmp_path, 16)
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
        tensors = {"denoiser.w": stream.get_tensor("w")}
    del metadata["format"]
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(OtherFormat, match=r"written by another version .*TRAIN_FRESH=1"):
        load_latest(tmp_path, print)
    assert path.exists() and json.loads(metadata["plain"]) == {"nimg": 16}


def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as if no more bytes fitted
    try:
        with pytest.raises(OSError, match=r"checkpoint-.*\.safetensors cannot be written"):
            save_checkpoint(tmp_path, 64, {"w": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
