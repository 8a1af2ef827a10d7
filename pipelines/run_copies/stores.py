"""Where copies of runs lie: a folder, or a bucket that speaks S3. A file is there whole or not."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from foundation.atomic_files import copy_whole, write_bytes
from pipelines.settings.storage_address import Bucket, storage_address

CONNECT_S, ATTEMPTS = 10.0, 3
PART = 8 * 2**20
"""Bytes of a file that are held at a time."""
Answer = TypeVar("Answer")


class StorageError(RuntimeError):
    """A storage cannot be reached, read or written; the message is one line."""


class Store(Protocol):
    """Files by name, with / between folders. Every call raises StorageError where it fails."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None: there is no such file."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, in place of what stood there."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a local file there. Raises FileNotFoundError if it has been removed meanwhile."""
        ...

    def get(self, name: str, target: Path) -> None:
        """Copy a file to a local path."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """{name: bytes} of the files in a folder, without the folder's name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


def open_store(address: str, run: str) -> Store:
    """The place of the run's copy at `address`; nothing is looked up yet."""
    found = storage_address(address)
    if isinstance(found, Bucket):
        return BucketStore(found, run)
    return FolderStore(found.expanduser().resolve() / run)


def probe(address: str) -> None:
    """Write a few bytes at `address`, read and remove them. Raises StorageError where that fails.

    A folder that was not there is there afterwards.
    """
    store, name, content = open_store(address, "probe"), uuid.uuid4().hex, b"readable?"
    store.write(name, content)
    try:
        if store.read(name) != content:
            raise StorageError(f"cluster.storage: {address} does not give back what is written")
    finally:
        store.remove(name)


class FolderStore:
    """A folder, for instance on a disk that all nodes share."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """See Store."""
        with self._told():
            path = self.folder / name
            return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        """See Store."""
        with self._told():
            write_bytes(self.folder / name, content)

    def put(self, name: str, source: Path) -> None:
        """See Store."""
        with self._told():
            copy_whole(source, self.folder / name)

    def get(self, name: str, target: Path) -> None:
        """See Store."""
        with self._told():
            shutil.copyfile(self.folder / name, target)

    def sizes(self, folder: str) -> dict[str, int]:
        """See Store."""
        with self._told():
            found = (p for p in (self.folder / folder).glob("[!.]*") if p.is_file())
            return {p.name: p.stat().st_size for p in found}

    def remove(self, name: str) -> None:
        """See Store."""
        with self._told():
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not _below(error, self.folder):
                raise
            raise StorageError(f"cluster.storage: {error}") from error


def _below(error: OSError, folder: Path) -> bool:
    return Path(str(error.filename)).is_relative_to(folder)


class BucketStore:
    """A folder of a bucket. Keys are taken from the environment, as Amazon's own tools do."""

    def __init__(self, bucket: Bucket, run: str):
        self.bucket = bucket
        self.root = "/".join(part for part in (bucket.name, bucket.prefix, run) if part)
        self._opened: Any = None

    def read(self, name: str) -> bytes | None:
        """See Store."""

        def look() -> bytes | None:
            from pyarrow.fs import FileType

            if self._system.get_file_info(self._path(name)).type == FileType.NotFound:
                return None
            with self._system.open_input_stream(self._path(name)) as stream:
                return stream.read()

        return self._told(look)

    def write(self, name: str, content: bytes) -> None:
        """See Store."""

        def send() -> None:
            with self._system.open_output_stream(self._path(name)) as stream:
                stream.write(content)

        self._told(send)

    def put(self, name: str, source: Path) -> None:
        """See Store."""

        def send() -> None:
            # Closed early by a local error, the object is too short: sizes() shows that.
            with self._system.open_output_stream(self._path(name)) as stream:
                while part := local.read(PART):
                    stream.write(part)

        with source.open("rb") as local:
            self._told(send)

    def get(self, name: str, target: Path) -> None:
        """See Store."""

        def fetch() -> None:
            with self._system.open_input_stream(self._path(name)) as stream:
                shutil.copyfileobj(stream, local, PART)

        with target.open("wb") as local:
            self._told(fetch)

    def sizes(self, folder: str) -> dict[str, int]:
        """See Store."""

        def look() -> dict[str, int]:
            from pyarrow.fs import FileSelector

            selector = FileSelector(self._path(folder), allow_not_found=True)
            found = self._system.get_file_info(selector)
            return {file.base_name: file.size for file in found if file.is_file}

        return self._told(look)

    def remove(self, name: str) -> None:
        """See Store."""
        with suppress(FileNotFoundError):
            self._told(lambda: self._system.delete_file(self._path(name)), FileNotFoundError)

    @property
    def _system(self) -> Any:
        if self._opened is None:
            # Brings 0.2 s of imports, which only who uses a bucket pays.
            from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

            place = urlsplit(self.bucket.endpoint or "")
            self._opened = S3FileSystem(
                region=self.bucket.region or ("us-east-1" if self.bucket.endpoint else None),
                endpoint_override=place.netloc or None,
                scheme=place.scheme or None,
                connect_timeout=CONNECT_S,
                retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            )
        return self._opened

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _told(self, call: Callable[[], Answer], *meant: type[OSError]) -> Answer:
        try:
            return call()
        except OSError as error:
            if isinstance(error, meant):
                raise
            where = self.bucket.endpoint or "Amazon S3"
            text = " ".join(str(error).split()).partition(" (Request ID")[0]
            raise StorageError(
                f"cluster.storage: s3://{self.root} at {where}: {text:.300}"
            ) from error
