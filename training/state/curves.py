"""Loss curves on disk, one JSON line per point; points after the resumed image are removed."""

import csv
import json
from pathlib import Path

from foundation.atomic_files import replacing, write_text
from foundation.json_files import parse_object


class Curves:
    """Appends (nimg, metrics) to a .jsonl file; `write_csv` makes the table of the whole run.

    With `writing` false, on ranks other than 0, no file is changed.
    """

    def __init__(self, path: Path, resume_at: int = 0, writing: bool = True):
        self.path, self.writing = Path(path), writing
        if not writing:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in self.rows() if row["nimg"] <= resume_at]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def append(self, nimg: int, metrics: dict[str, float]) -> None:
        if not self.writing:
            return
        with open(self.path, "a") as stream:
            stream.write(json.dumps({"nimg": nimg, **metrics}) + "\n")

    def rows(self) -> list[dict]:
        """All points so far; a line that a crash cut short is left out."""
        rows = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
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
