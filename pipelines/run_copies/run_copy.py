"""The copy of one training run: its files by their hashes, and a manifest that is written last.

A file lies there as files/SHA256 and never changes. manifest.json says which files make up the run.
It is replaced whole after all of them are there, and what it no longer names is removed after that:
whenever the work is cut off, the copy is that of some earlier moment. Locks are no part of it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from foundation.atomic_files import replacing
from foundation.json_hash import json_hash
from models.weights import file_hash
from pipelines.run_copies.stores import StorageError, Store
from training.state.leaving import LEAVE
from training.state.writer_lock import WRITER_LOCK

MANIFEST, FILES = "manifest.json", "files"
FORMAT = 1
CHECKPOINTS = "checkpoints/checkpoint-*.safetensors"
SUMMARY = "train.json"
LEFT_OUT = (LEAVE, WRITER_LOCK)
Say = Callable[[str], None]


class RunCopy:
    """The copy in `store` of the run in `folder`."""

    def __init__(self, store: Store, folder: Path):
        self.store, self.folder = store, folder
        self._hashed: dict[str, tuple[tuple[int, int], str]] = {}
        """{name: (size and time of the file when it was hashed, hash)}."""

    def save(self) -> int | None:
        """Bring the copy up to date; returns the images of its newest checkpoint.

        A file that the training removes meanwhile is left out, as a later one takes its place.
        Where no checkpoint is left the copy stays as it is, and None is returned. Raises
        StorageError where the storage fails.
        """
        files: dict[str, dict[str, Any]] = {}
        there = self.store.sizes(FILES)
        for name in self._names():
            try:
                files[name] = self._sent(name, there)
            except FileNotFoundError:
                continue
        newest = _newest(files)
        if newest is None:
            return None
        facts = {"format": FORMAT, "files": files}
        text = json.dumps(facts | {"sha256": json_hash(facts)}, indent=1) + "\n"
        self.store.write(MANIFEST, text.encode())
        kept = {entry["sha256"] for entry in files.values()}
        for name in there.keys() - kept:
            self.store.remove(f"{FILES}/{name}")
        return newest

    def fetch(self, say: Say) -> bool:
        """Take the run's files from the copy if it is further than the folder; returns whether.

        A file that is lost or damaged there is left out, and `say` told: training then goes on from
        what is whole, as it does after such damage here. A fetch that is cut off is no run yet,
        since checkpoints come after all that they need. Raises StorageError where the storage
        fails, or its manifest is damaged.
        """
        files = self._manifest()
        newest = _newest(files)
        if newest is None or (self.folder / SUMMARY).is_file():
            return False
        here = _newest(path.as_posix() for path in self.folder.glob(CHECKPOINTS))
        if SUMMARY not in files and here is not None and newest <= here:
            return False
        size = sum(entry["bytes"] for entry in files.values())
        say(f"taking {size / 1e6:.3g} MB of this run at {newest / 1000:g} kimg from its copy")
        there = self.store.sizes(FILES)
        for name in sorted(files, key=_rank):
            self._receive(name, files[name], there, say)
        return True

    def forget(self) -> None:
        """Remove the copy, the manifest first."""
        self.store.remove(MANIFEST)
        for name in self.store.sizes(FILES):
            self.store.remove(f"{FILES}/{name}")

    def _names(self) -> Iterator[str]:
        """Names of the run's files. Checkpoints come first: what they need is there by then."""
        first = sorted(self.folder.glob(CHECKPOINTS))
        yield from (path.relative_to(self.folder).as_posix() for path in first)
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            hidden = path.name.startswith(".") or path.suffix == ".damaged" or name in LEFT_OUT
            if not (hidden or PurePosixPath(name).match(CHECKPOINTS)) and path.is_file():
                yield name

    def _sent(self, name: str, there: dict[str, int]) -> dict[str, Any]:
        """Send a file unless it is there; returns its entry of the manifest."""
        path = self.folder / name
        if path.suffix == ".jsonl":  # training writes on
            content = path.read_bytes()
            digest = sha256(content).hexdigest()
            if there.get(digest) != len(content):
                self.store.write(f"{FILES}/{digest}", content)
            return {"sha256": digest, "bytes": len(content)}
        facts = path.stat()
        mark = (facts.st_size, facts.st_mtime_ns)
        known = self._hashed.get(name)
        digest = known[1] if known is not None and known[0] == mark else file_hash(path)
        self._hashed[name] = (mark, digest)
        if there.get(digest) != facts.st_size:
            self.store.put(f"{FILES}/{digest}", path)
        return {"sha256": digest, "bytes": facts.st_size}

    def _receive(self, name: str, entry: dict[str, Any], there: dict[str, int], say: Say) -> None:
        """Take a file unless it is here; one that is not whole in the copy is told and left out."""
        path, digest = self.folder / name, entry["sha256"]
        if path.is_file() and file_hash(path) == digest:
            return
        if there.get(digest) == entry["bytes"]:
            with suppress(_Damaged), replacing(path) as temporary:
                self.store.get(f"{FILES}/{digest}", temporary)
                if file_hash(temporary) != digest:
                    raise _Damaged
                return
        say(f"{name} is lost or damaged in the copy of this run, and is left out")

    def _manifest(self) -> dict[str, dict[str, Any]]:
        """{name: {"sha256", "bytes"}} of the copy; {} where there is none."""
        content = self.store.read(MANIFEST)
        if content is None:
            return {}
        try:
            facts = json.loads(content)
            mark = facts.pop("sha256")
            files = facts["files"]
            whole = mark == json_hash(facts) and facts["format"] == FORMAT
            whole = whole and not any(_leads_away(name) for name in files)
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise StorageError(
                f"cluster.storage: {MANIFEST} of the copy of run {self.folder.name} is damaged, or "
                "another version wrote it: remove that copy, or set cluster.storage to null"
            )
        return files


class _Damaged(Exception):
    """A file that came is not the one that was sent."""


def _newest(names: Iterable[str]) -> int | None:
    """Images of the newest checkpoint among the names; None: there is none."""
    from training.state.checkpoint import checkpoint_nimg  # brings torch

    found = [PurePosixPath(name) for name in names]
    return max((checkpoint_nimg(Path(p)) for p in found if p.match(CHECKPOINTS)), default=None)


def _rank(name: str) -> tuple[int, str]:
    """The order in which files are taken: checkpoints need all others, but for the summary."""
    return (2 if name == SUMMARY else int(PurePosixPath(name).match(CHECKPOINTS)), name)


def _leads_away(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
