"""The picture of edits: what lies in its columns, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from dataset.store import ImageDataset
from models.denoiser import load_denoiser
from studies.editing_picture import HOLE, Asked, hole, main, row


def test_a_row_keeps_what_is_known_and_edits_the_rest(material):
    dataset, asked = ImageDataset(material.dataset), Asked(2, (0.0, 0.6), 3, 2)
    picture = np.asarray(dataset.images[dataset.held_out_indices[0]])
    mask = hole(1, len(picture))
    found = row(load_denoiser(material.ema / "0.1.safetensors"), picture, mask, 3, asked)
    assert found.shape == (len(asked.columns()), 8, 8, 3)
    real, pierced, *fills = found[:4]
    assert (real == picture).all() and (pierced[mask] == HOLE).all()
    for filled in fills:
        assert (filled[~mask] == real[~mask]).all() and (filled[mask] != real[mask]).any()
    assert not np.array_equal(*fills)
    assert (found[4] == real).all() and (found[5] != real).any()


def test_holes_are_a_half_or_the_middle():
    assert [hole(number, 8).mean() for number in range(4)] == [0.5, 0.5, 0.25, 0.5]
    assert hole(0, 8)[:, 4:].all() and hole(1, 8)[4:].all() and hole(2, 8)[2:6, 2:6].all()


def test_the_command(material, tmp_path, capsys):
    words = [str(material.ema / "0.1.safetensors"), "--dataset", str(material.dataset)]
    words += ["--steps", "2", "--resample", "1", "--out", str(tmp_path / "a.png")]
    main([*words, "--classes", "3,7"])
    assert Image.open(tmp_path / "a.png").width > 200
    for wrong, told in (
        (["--classes", "shoe"], "shoe"),
        (["--classes", "3", "--strengths", "2"], "strength 2.0: give 0"),
        (["--fills", "99"], "--fills 99"),
    ):
        with pytest.raises(SystemExit):
            main([*words, *wrong])
        assert told in capsys.readouterr().err
