"""Loss curves on disk, one JSON line per point; points after the resumed image are removed."""

import csv
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from foundation.atomic_files import naming, replacing, write_text
from foundation.json_files import parse_object


class Curves:
    """Appends (nimg, metrics) to a .jsonl file; `write_csv` makes the table of the whole run.

    With `writing` false, on ranks other than 0, no file is changed.
    """

    def __init__(
        self,
        path: Path,
        resume_at: int = 0,
        writing: bool = True,
        *,
        digest: str | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ):
        """Keep the points up to the image `resume_at`.

        Args:
            digest: what `digest` of these points was; None: unknown.
            warn: called with a line if the points have another one.
        """
        self.path, self.writing = Path(path), writing
        self._digest = hashlib.sha256()
        if not writing:
            return
        text = "".join(json.dumps(row) + "\n" for row in self.rows() if row["nimg"] <= resume_at)
        write_text(self.path, text)
        self._digest.update(text.encode())
        if digest is not None and digest != self.digest:
            warn(
                f"{self.path} is damaged: some points of the curves up to image {resume_at} are "
                "lost or altered; the weights are not"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of all points, hexadecimal."""
        return self._digest.hexdigest()

    def append(self, nimg: int, metrics: dict[str, float]) -> None:
        if not self.writing:
            return
        line = json.dumps({"nimg": nimg, **metrics}) + "\n"
        with naming(self.path), open(self.path, "a") as stream:
            stream.write(line)
        self._digest.update(line.encode())

    def sync(self) -> None:
        """Flush the points to disk, before a checkpoint counts their images as seen."""
        with naming(self.path), open(self.path, "rb+") as stream:
            os.fsync(stream.fileno())

    def rows(self) -> list[dict]:
        """All points so far; a line that a crash or damage made unreadable is left out."""
        rows = []
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        for line in text.splitlines():
            try:
                row = parse_object(line)
            except ValueError:
                continue
            if isinstance(row.get("nimg"), int):
                rows.append(row)
        return rows

    def write_csv(self, path: Path) -> None:
        """Write one row per nimg and one column per metric, empty where it was not measured."""
        merged: dict[int, dict] = {}
        for row in self.rows():
            merged.setdefault(row["nimg"], {}).update(row)
        columns = ["nimg", *sorted({name for row in merged.values() for name in row} - {"nimg"})]
        with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(merged[nimg] for nimg in sorted(merged))
