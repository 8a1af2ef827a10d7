"""The files of a frozen encoder: a folder, a zip, or those that an installed package brings."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from foundation.atomic_files import replacing
from models.text_encoders.errors import EncoderError

Reader = Callable[[], bytes]
WEIGHTS = (".safetensors", ".npy")
TOKENIZER = "tokenizer.json"
BESIDE = "text_encoder"
"""Folder beside stored weights, or one folder up, in which their encoder may lie."""
LICENCES = ("LICENSE", "LICENCE", "NOTICE")
NO_MATTER = ("architectures", "dtype", "torch_dtype", "transformers_version")
"""Entries of config.json that change no embedding; so do those that begin with an underscore."""


class EncoderFiles:
    """What a frozen encoder is made of, and the hash that says which one it is.

    Args:
        place: path of a folder or .zip, or name of an installed package that holds either.
        install: how the files are had, the end of the error where they are not there.

    Raises a one-line EncoderError that names `model.text.path` where the place is not there, holds
    no weights (safetensors or npy; nothing is unpickled) or no tokenizer.json.
    """

    def __init__(self, place: str, install: str):
        found = _readers(place)
        self.place, self.install = place, install
        if not found:
            raise EncoderError(
                f"model.text.path: {place} is neither a folder nor a .zip, and no package of that "
                f"name is installed: {install}"
            )
        self._readers = found
        self._weights = self._one(
            "weights (.safetensors or .npy)",
            [name for name in found if name.endswith(WEIGHTS)],
        )
        self._tokenizer = self._one(
            TOKENIZER, [name for name in found if PurePosixPath(name).name == TOKENIZER]
        )
        self.sha256 = self._identity()

    @property
    def packaged(self) -> bool:
        """Whether an installed package brings them."""
        return not Path(self.place).expanduser().exists()

    @property
    def weights_name(self) -> str:
        """Name of the file of weights."""
        return self._weights

    def weights(self) -> bytes:
        """Content of the file of weights."""
        return self._readers[self._weights]()

    def tokenizer(self) -> bytes:
        """Content of tokenizer.json."""
        return self._readers[self._tokenizer]()

    def config(self) -> dict[str, Any]:
        """Content of config.json beside the weights; {} without one."""
        name = self._config
        try:
            content = json.loads(self._readers[name]()) if name in self._readers else {}
        except ValueError as error:
            raise EncoderError(
                f"model.text.path: {self.place}: {name} is damaged ({error})"
            ) from None
        return content if isinstance(content, dict) else {}

    def refuse_other(self, text: Mapping[str, Any] | None) -> None:
        """Raise EncoderError unless a stored description names this encoder, by its hash."""
        stored = self.sha256 if text is None else text.get("sha256", self.sha256)
        if stored != self.sha256:
            raise EncoderError(
                f"model.text.path: {self.place} is another encoder (sha256 {self.sha256[:12]}...) "
                f"than these weights were trained with ({str(stored)[:12]}...): give that one"
            )

    def _identity(self) -> str:
        """sha256 of all that decides an embedding: weights, tokenizer, and numbers of config.json.

        The same weights with other heads, say, are another encoder.
        """
        config = {
            key: value
            for key, value in self.config().items()
            if key not in NO_MATTER and not key.startswith("_")
        }
        told = json.dumps(config, sort_keys=True).encode() if config else b""
        return hashlib.sha256(self.weights() + self.tokenizer() + told).hexdigest()

    @property
    def _config(self) -> str:
        return str(PurePosixPath(self._weights).with_name("config.json"))

    def copy_to(self, folder: Path) -> None:
        """Write weights, tokenizer.json, config.json and licences into a folder of their own."""
        names = [self._weights, self._tokenizer, self._config]
        names += [name for name in self._readers if PurePosixPath(name).name.startswith(LICENCES)]
        for name in names:
            if name in self._readers:
                with replacing(folder / PurePosixPath(name).name) as temporary:
                    temporary.write_bytes(self._readers[name]())

    def _one(self, what: str, names: list[str]) -> str:
        if not names:
            raise EncoderError(f"model.text.path: {self.place} holds no {what}: {self.install}")
        return min(names, key=lambda name: (name.count("/"), name))


def stored_files(place: str, install: str, text: Mapping[str, Any] | None) -> EncoderFiles:
    """The files of an encoder: those that a stored description names, by their hash.

    They are looked for at the place, and then in a folder `text_encoder` in each folder that the
    description names as `near`. text: None: a new encoder, at the place. Raises EncoderError, of
    the place, where none of them holds it.
    """
    near = () if text is None else text.get("near", ())
    problem: EncoderError | None = None
    for candidate in (place, *(str(Path(folder) / BESIDE) for folder in near)):
        try:
            files = EncoderFiles(candidate, install)
            files.refuse_other(text)
            return files
        except EncoderError as error:
            problem = problem or error
    assert problem is not None
    if text is None:
        raise problem
    raise EncoderError(f"{problem}; a folder {BESIDE} beside the weights would be taken too")


def _readers(place: str) -> dict[str, Reader]:
    path = Path(place).expanduser()
    if path.is_dir():
        return {
            file.relative_to(path).as_posix(): file.read_bytes
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    if path.is_file() and path.suffix == ".zip":
        return _in_zip(path)
    try:
        files = metadata.distribution(place).files or []
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    found: dict[str, Reader] = {}
    for file in files:
        located = Path(str(file.locate()))
        if file.suffix == ".zip" and located.is_file():
            found |= _in_zip(located)
        elif located.is_file():
            found[file.as_posix()] = located.read_bytes
    return found


def _in_zip(path: Path) -> dict[str, Reader]:
    def reader(name: str) -> Reader:
        def read() -> bytes:
            with zipfile.ZipFile(path) as archive:
                return archive.read(name)

        return read

    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise EncoderError(f"model.text.path: {path} is no intact zip ({error})") from None
    return {name: reader(name) for name in names}
