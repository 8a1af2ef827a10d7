"""Finds the weights files that params name, even if DVC runs a stage in a copy of the project."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.config import ModelConfig
from models.text_encoders.configs import FrozenConfig
from models.weights import WeightsError, check_suffix, check_weights, load_description
from models.weights_folder import weights_file as file_of
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.paths import dvc_root
from sampling.config import SamplerConfig
from training.config import TrainConfig

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from models.text_encoders.files import EncoderFiles


def weights_file(path: str, key: str, otherwise: str) -> Path:
    """Full path of a weights file that params name relative to the project or its main checkout.

    An exported folder means the weights in it. Raises ParamsError for a missing file, for another
    folder, and for another kind of file. Its message begins with `key` and ends with `otherwise`,
    which says what else the key may be.
    """
    first: WeightsError | None = None
    for root in (Path(), dvc_root()):
        try:
            found = file_of(root / path)
        except WeightsError as error:  # a copy of the project has of a folder what git has of it
            first = first or error
            continue
        if found.is_file():
            try:
                check_suffix(found)
            except WeightsError as error:
                raise ParamsError(f"{key}: {error}; or give {otherwise}") from None
            return Path(os.path.abspath(found))  # a link keeps the .json beside it
    if first is not None:
        raise ParamsError(f"{key}: {first}, or {otherwise}")
    raise ParamsError(
        f"{key}: {path} does not exist: give the path of a .safetensors file or of an exported "
        f"folder, or {otherwise}"
    )


def init_file(params: Params) -> Path | None:
    """The file of train.init_from; None if training starts from random weights."""
    path = params.train.init_from
    if path is None:
        return None
    return weights_file(path, "train.init_from", "null to start from random weights")


def check_captions(params: Params, dataset: "ImageDataset") -> None:
    """Raise ValueError, in one line, where model.text cannot read this data set's captions."""
    if params.model.text is None:
        return
    from models.conditions import make_conditions

    text = None
    if dataset.num_classes:
        text = params.model.text.begin(dataset.trained_names)
    make_conditions(params.model, dataset.num_classes, dataset.label_names, text)


def check_init(params: Params) -> None:
    """Raise ParamsError, naming train.init_from, where its files are missing or damaged."""
    _check("train.init_from", [init_file(params)])


def init_remarks(params: Params, codec: Mapping[str, Any]) -> Iterator[str]:
    """A line for each sense in which train.init_from knows other numbers than are trained on.

    codec: description of that of the data set. Another kind of codec is refused elsewhere.
    """
    file = init_file(params)
    if file is None:
        return
    description = load_description(file)
    other, text = (description.get(key) or {} for key in ("codec", "text"))
    little = "so little of what it knows will be of use"
    if codec["kind"] == other.get("kind") and codec.get("autoencoder") != other.get("autoencoder"):
        yield (
            f"train.init_from: {file} has learned latents of another autoencoder, whose numbers "
            f"mean other pictures, {little}"
        )
    own = encoder_hash(params)
    if own is not None and text and text.get("sha256") != own:
        yield (
            f"train.init_from: {file} has learned captions by another encoder "
            f"({text.get('encoder')}), whose numbers mean other words, {little}"
        )


def check_guiding(sampler: SamplerConfig, name: str) -> None:
    """Raise ParamsError, naming the sampler, where files of its guidance are missing or damaged."""
    _check(f"sampling.{name}.guidance", guiding_files(sampler, name))


def _check(key: str, files: Sequence[Path | None]) -> None:
    for file in filter(None, files):
        try:
            check_weights(file)
        except WeightsError as error:
            raise ParamsError(f"{key}: {error}") from None


def guiding_files(sampler: SamplerConfig, name: str) -> list[Path | None]:
    """For each entry of the sampler's guidance the file that it names, or None.

    name: of the sampler. Raises ParamsError for a missing file.
    """
    key = f"sampling.{name}.guidance"
    return [
        None
        if entry.guiding_weights is None
        else weights_file(
            entry.guiding_weights,
            key,
            "length, one of ema.lengths"
            if entry.needs.network
            else "make a predictor with python -m pipelines.attributes",
        )
        for entry in sampler.guidance
    ]


def with_guiding_files(sampler: SamplerConfig, name: str) -> SamplerConfig:
    """The sampler with full paths of its guiding weights. Raises ParamsError for missing files."""
    files = guiding_files(sampler, name)
    entries = tuple(
        entry if file is None else entry.with_guiding_weights(str(file))
        for entry, file in zip(sampler.guidance, files, strict=True)
    )
    return sampler.model_copy(update={"guidance": entries})


def with_encoder_folder(params: Params) -> ModelConfig:
    """The model section with the full path of model.text.path, where that is a path here.

    Otherwise it is the name of a package, which stays, or is not there, which training tells.
    """
    text = params.model.text
    if text is None or text.folder is None:
        return params.model
    for root in (Path(), dvc_root()):
        path = root / Path(text.folder).expanduser()
        if path.exists():
            found = text.model_copy(update={"path": os.path.abspath(path)})
            return params.model.model_copy(update={"text": found})
    return params.model


def check_autoencoder(params: Params) -> None:
    """Raise ParamsError, naming the key, where the autoencoder's folder or library is missing."""
    absent = params.autoencoder.missing()
    if absent is not None:
        raise ParamsError(f"autoencoder{absent}")


def check_encoder(params: Params) -> None:
    """Raise ValueError, naming model.text, where its encoder's files or library are missing.

    Also where its vectors have another length than model.text.width.
    """
    files = encoder_files(params)
    if files is None:
        return
    from models.text_encoders.tokenizer import tokenizers_library

    tokenizers_library()
    text = params.model.text
    if isinstance(text, FrozenConfig) and text.width is not None:
        text.fitting_encoder(files)


def encoder_hash(params: Params) -> str | None:
    """Hash of the files of model.text; None where it has none.

    Raises ValueError, naming model.text.path, where they are missing.
    """
    files = encoder_files(params)
    return None if files is None else files.sha256


def encoder_files(params: Params) -> "EncoderFiles | None":
    """The files of model.text; None where it has none.

    Raises ValueError, naming model.text.path, where they are missing.
    """
    text = with_encoder_folder(params).text
    if text is None or text.folder is None:
        return None
    from models.text_encoders.files import EncoderFiles

    return EncoderFiles(text.folder, getattr(text, "install", ""))


def with_init_file(params: Params) -> TrainConfig:
    """The train section with the full path of train.init_from."""
    path = init_file(params)
    return params.train.model_copy(update={"init_from": str(path) if path else None})
