"""Captions and their encoder in params: what is refused, remarked, and hashed."""

import numpy as np
import pytest

from pipelines.params import ParamsError, load_params
from pipelines.settings.cross_checks import remarks
from pipelines.workspace.weights_files import check_encoder, encoder_hash, with_encoder_folder


def load(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    return load_params(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "model: {class_conditional: false, text: {kind: words}}",
            "model.text: captions are labels",
        ),
        (
            "model: {channels: 40, channels_per_head: 13, attention_resolutions: [], "
            "text: {kind: words, resolutions: [8]}}",
            "model.channels_per_head: 13 makes 3 attention heads",
        ),
        ("model: {text: {kind: wrods}}", "'wrods': did you mean 'words'"),
        ("model: {text: {kind: words, path: x}}", "path belongs to kind"),
        ("model: {text: {kind: clip}}", "model.text.path: it is missing"),
        ("model: {text: {kind: words, tokens: 78}}", "model.text.tokens"),
        ("dataset: {captions: {kind: txt}}", "captions of kind txt belong to source image_folder"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, told):
    with pytest.raises(ParamsError) as error:
        load(tmp_path, text)
    assert told in str(error.value)


def test_what_was_hardly_meant_is_remarked(tmp_path):
    captions = "dataset: {source: image_folder, path: x, captions: {kind: txt}}\n"
    told = " ".join(remarks(load(tmp_path, captions)))
    assert "each caption is a class of its own" in told
    told = " ".join(remarks(load(tmp_path, "model: {text: {kind: words, resolutions: [3]}}")))
    assert "reads the names of the classes" in told and "nothing attends to the words" in told
    assert "text" not in " ".join(remarks(load(tmp_path, "seed: 1")))


def test_the_folder_of_an_encoder_is_found_hashed_and_missed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = load(tmp_path, "model: {text: {kind: static, path: encoder}}")
    with pytest.raises(ValueError, match=r"model\.text\.path: encoder is neither") as error:
        check_encoder(params)
    assert "\n" not in str(error.value)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "tokenizer.json").write_text("{}")
    np.save(tmp_path / "encoder" / "a.npy", np.eye(3))
    assert with_encoder_folder(params).text.folder == str(tmp_path / "encoder")
    first = encoder_hash(params)
    pytest.importorskip("tokenizers")
    check_encoder(load(tmp_path, "model: {text: {kind: static, path: encoder, width: 3}}"))
    with pytest.raises(ValueError, match=r"model\.text\.width: 4, but the vectors of .* have 3"):
        check_encoder(load(tmp_path, "model: {text: {kind: static, path: encoder, width: 4}}"))
    np.save(tmp_path / "encoder" / "a.npy", np.eye(4))
    assert first != encoder_hash(params)
    assert encoder_hash(load(tmp_path, "model: {text: {kind: words}}")) is None
