"""Which runs under .runs nobody goes on with: unfinished ones of other params or data."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundation.counted import counted
from foundation.json_files import read_object
from pipelines.settings.schema import Params
from pipelines.sweeps.record import OPEN, TRIALS, Trial
from pipelines.workspace.fingerprint import (
    stage_identity,
    student_identity,
    teacher_file,
)
from pipelines.workspace.input_hashes import dataset_hash
from pipelines.workspace.leftovers import in_words
from pipelines.workspace.makers import runs
from pipelines.workspace.paths import DATASET
from pipelines.workspace.removable import Removable, gone
from pipelines.workspace.wanted_runs import wanted, who_wants

RUN = re.compile(r"(train|autoencoder|distil-[\w-]+)-[0-9a-f]{16}")
FOLDER_OF_LOCK = re.compile(r"(train|autoencoder|reference|distil-[\w-]+)-[0-9a-f]{16}")


class StaleRuns:
    """Sorts what lies under .runs into what may go and what is kept, with the reason.

    Args:
        prepared: whether outputs/dataset is of the source that params name. If not, which data a
            run of these params would have is not known, and runs of other data are kept.
    """

    def __init__(self, params: Params, root: Path, prepared: bool):
        self.root, self.runs = root, root / ".runs"
        self.data = dataset_hash() if prepared else None
        self.now = [stage_identity("train", params)]
        if params.autoencoder.kind == "kl":
            self.now.append(stage_identity("autoencoder", params))
        self.now += [student_identity(params, name) for name in params.distil]
        current = {identity.folder(root).name for identity in self.now}
        self.taught = all(teacher_file(params, name).is_file() for name in params.distil)
        self.going: list[Path] = []
        self.kept: Counter[str] = Counter()
        self.finished: list[Path] = []
        wanted_by = self._wanted()
        for run in runs(root):
            if run.is_symlink() or not run.is_dir() or not RUN.fullmatch(run.name):
                continue
            reason = self._reason(run, *wanted_by)
            if (run / "train.json").is_file():
                if run.name not in current:
                    self.finished.append(run)
            elif reason is None:
                self.going.append(run)
            else:
                self.kept[reason] += 1

    def parts(self) -> Iterator[Removable]:
        """What may go."""
        names = {path.name for path in self.going}
        ray = [
            path
            for path in sorted((self.runs / "ray").glob("*-*"))
            if path.name.rpartition("-")[0] in names
        ]
        yield Removable("unfinished runs of other params or data", (*self.going, *ray))
        references = list(self._references())
        yield Removable("unfinished references of other data", tuple(references))
        yield Removable(
            "locks of runs that are gone", tuple(self._locks([*self.going, *references]))
        )

    def notes(self) -> Iterator[str]:
        """A line for each kind of runs that are kept."""
        for reason, count in sorted(self.kept.items()):
            yield f"kept: {counted(count, 'unfinished run')} under .runs: {reason}"
        if self.finished:
            size = in_words(Removable("", tuple(self.finished)).size)
            yield (
                f"kept: {len(self.finished)} finished runs of other params, data or code under "
                f".runs ({size}): DVC would use them without training when params name them "
                "again; python -m pipelines.clean  without --stale removes them too"
            )

    def _reason(self, run: Path, hashes: dict[str, str], names: dict[str, str]) -> str | None:
        """Why an unfinished run is kept; None if nobody goes on with it."""
        if self.data is None:
            return (
                f"{DATASET} is missing or not of these params, so which runs they name is not "
                "known: dvc repro prepare  makes it"
            )
        try:
            facts = read_object(run / "identity.json")
            params, inputs = str(facts["params"]), str(facts["inputs"])
        except (OSError, ValueError, KeyError):
            return "whose params cannot be told, as identity.json is missing or damaged"
        if run.name.startswith("distil-") and not self.taught:
            return "students, of which no teacher is there: dvc repro reconstruct  makes it"
        if any((params, inputs) == (now.params, now.inputs) for now in self.now):
            return "of these params and data; dvc repro goes on with it (TRAIN_ADOPT after edits)"
        who = hashes.get(params) or names.get(run.name) or names.get("*")
        return who and f"{who} goes on with it"

    def _wanted(self) -> tuple[dict[str, str], dict[str, str]]:
        """({hash of params: who wants the run}, {name of the run: who wants it}).

        The name "*" stands for all runs: there are trials of which the run is not known.
        """
        hashes, names = wanted(self.root), dict[str, str]()
        for path in sorted(self.runs.glob("sweeps/*/trials.json")):
            who = who_wants(path.parent.name)
            try:
                trials: list[Trial] = TRIALS.validate_json(path.read_bytes())
            except (OSError, ValueError):
                names["*"] = f"{path} is damaged, so perhaps {who}"
                continue
            names |= {f"train-{trial.fingerprint}": who for trial in trials if trial.fingerprint}
            unknown = any(t.status == OPEN and not t.fingerprint for t in trials)
            if unknown and who not in hashes.values():
                names["*"] = f"perhaps {who}"
        return hashes, names

    def _references(self) -> Iterator[Path]:
        """Folders of unfinished references that are known to be of other data."""
        from evaluation.kept.unfinished_reference import (
            ABOUT,  # brings torch, which --help does without
        )

        for folder in sorted(self.runs.glob("reference-*")):
            if (
                self.data is None
                or folder.is_symlink()
                or not FOLDER_OF_LOCK.fullmatch(folder.name)
            ):
                continue
            try:
                about: Any = read_object(folder / ABOUT)["dataset"]
            except (OSError, ValueError, KeyError):
                continue
            if isinstance(about, str) and about != self.data:
                yield folder

    def _locks(self, going: list[Path]) -> Iterator[Path]:
        """Lock files of folders that are gone, or go now; if one is held, nothing is removed."""
        found = [p for p in self.runs.glob("*.lock") if FOLDER_OF_LOCK.fullmatch(p.stem)]
        found += self.runs.glob("sweeps/*.lock")
        for lock in sorted(found):
            folder = lock.with_suffix("")
            if not lock.is_symlink() and (gone(folder) or folder in going):
                yield lock
