"""Remove what runs have made: lists it with sizes, asks, and removes it.

examples:
  python -m pipelines.clean --dry-run   list, and remove nothing
  python -m pipelines.clean             results, runs, caches, logs of Ray (as make clean)
  python -m pipelines.clean --stale     only results that params do not name, and unfinished runs
                                        that nothing goes on with
  python -m pipelines.clean --caches --ray --yes   only these, without asking

--stale removes: results in outputs/ of EMA lengths and samplers that params do not name, and
outputs/unused; runs that never ended and are of other params or data; unfinished references of
other data; lock files of runs that are gone. It keeps: finished runs; runs of the params and data
of now, also after edits of the code; runs that a stopped sweep or replicate goes on with; and all
unfinished runs while outputs/dataset is missing or of another source.

A link to another disk stays with what it names. The environment (.venv), params and code stay, and
so does DVC's cache unless --dvc-cache is given: `dvc checkout` brings committed results back from
it.
"""

import argparse
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from pipelines.checkup.places import is_prepared
from pipelines.cleaning.cache_links import check_cache_unused
from pipelines.cleaning.stale_runs import StaleRuns
from pipelines.console.command import run_stage
from pipelines.params import load_params
from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.workspace.in_use import InUse, check_closed, unused
from pipelines.workspace.leftovers import in_words, stale
from pipelines.workspace.paths import dvc_root, is_project
from pipelines.workspace.removable import (
    Removable,
    caches,
    dvc_cache,
    gone,
    links,
    ray_sessions,
    results,
)

SHOWN = 4


def command_line() -> argparse.ArgumentParser:
    head, _, rest = (__doc__ or "").partition("\n\n")
    out = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--params", default=DEFAULT_PATH, help="for --stale (default: %(default)s)")
    out.add_argument("--dry-run", action="store_true", help="list what would be removed")
    out.add_argument("--yes", action="store_true", help="do not ask")
    parts = out.add_argument_group("parts; without one of them: all but DVC's cache")
    parts.add_argument(
        "--stale",
        action="store_true",
        help="results that params do not name, runs that nothing goes on with (see below)",
    )
    parts.add_argument("--caches", action="store_true", help="caches of Python and of tools")
    parts.add_argument("--ray", action="store_true", help="logs of Ray sessions that have ended")
    parts.add_argument(
        "--dvc-cache",
        action="store_true",
        help="besides all else: every result DVC has kept; with a part only if nothing needs it",
    )
    return out


def main() -> None:
    args, root = command_line().parse_args(), dvc_root()
    check_place(root)
    for link in links(root):
        print(
            f"kept: {shown(link, root)} is a link to {printable(os.readlink(link))}: what lies "
            "there is yours to remove"
        )
    found = listed(args, root, notes=True)
    if not found:
        print("clean: there is nothing to remove")
        return
    for part in found:
        print(f"{in_words(part.size):>10}  {part.what}: {names(part, root)}")
    print(f"{in_words(sum(part.size for part in found)):>10}  in all")
    if args.dry_run:
        print("clean: nothing was removed (--dry-run)")
        return
    only_caches = (args.caches or args.ray) and not (args.stale or args.dvc_cache)

    def nothing_in_use() -> AbstractContextManager[None]:
        return nullcontext() if only_caches else unused(root)

    with nothing_in_use():  # nobody is asked in vain
        check_closed([path for part in found for path in part.paths])
    asked = contents(found)
    if not args.yes and not agreed():
        print("clean: nothing was removed")
        return
    # Much may have begun, and ended, while the question stood.
    with nothing_in_use():
        found = listed(args, root)
        paths = [path for part in found for path in part.paths]
        check_closed(paths)
        check_same(asked, contents(found), root)
        left = [path for path in paths if not remove(path)]
    for path in left:
        print(
            f"clean: {shown(path, root)} could not be removed: it belongs to another user, or "
            "changed now"
        )
    print(f"clean: {len(paths) - len(left)} files and folders removed")
    if left:
        sys.exit(1)


def check_place(root: Path) -> None:
    """Raise ValueError unless the current folder is `root` and holds this project."""
    if not is_project(root):
        raise ValueError(
            f"{printable(str(root))} does not hold this project (dvc.yaml with its stages, .dvc, "
            "its code), so nothing is removed there: cd to the project first"
        )
    if Path.cwd().resolve() != root:
        raise ValueError(
            f"DVC_ROOT names {printable(str(root))}, and this is {printable(str(Path.cwd()))}: cd "
            "to the one to be cleaned, and unset DVC_ROOT"
        )


def listed(args: argparse.Namespace, root: Path, *, notes: bool = False) -> list[Removable]:
    """What the options ask for and is there. Raises ValueError if what stays would suffer.

    notes: whether to print what is kept, and why.
    """
    found = [part for part in chosen(args, root, notes) if part.paths]
    if args.dvc_cache:
        check_cache_unused(root, [path for part in found for path in part.paths])
    return found


def chosen(args: argparse.Namespace, root: Path, notes: bool) -> Iterator[Removable]:
    """What the options ask for."""
    everything = not (args.stale or args.caches or args.ray)
    if everything:
        yield from results(root)
    if args.stale:
        params = load_params(args.params)
        inside = [path for path in stale(params) if path.parent.resolve().is_relative_to(root)]
        yield Removable("results that params do not name", tuple(inside))
        runs = StaleRuns(params, root, is_prepared(params))
        yield from runs.parts()
        for line in runs.notes() if notes else ():
            print(line)
    if everything or args.caches:
        yield from caches(root)
    if everything or args.ray:
        yield ray_sessions(root)
    if args.dvc_cache:
        yield dvc_cache(root)


def contents(found: list[Removable]) -> dict[Path, tuple[int, int, int] | None]:
    """{path: (files, bytes, time of the last change)} of each path; None for one of a cache."""
    return {
        path: None if part.made_again else _content(path) for part in found for path in part.paths
    }


def _content(path: Path) -> tuple[int, int, int]:
    """Number of files and folders, bytes, last change of a file in ns; links are not followed.

    Lock files do not count, since `unused` touches them and writes notes beside them.
    """
    count, size, last = 0, 0, 0
    below = (os.path.join(at, name) for at, dirs, files in os.walk(path) for name in dirs + files)
    for name in (str(path), *below):
        if name.endswith((".lock", ".lock.holder")):
            continue
        with suppress(OSError):
            facts = os.lstat(name)
            count += 1
            if not stat.S_ISDIR(facts.st_mode):
                last, size = max(last, facts.st_mtime_ns), size + facts.st_size
    return count, size, last


def check_same(
    asked: dict[Path, tuple[int, int, int] | None],
    now: dict[Path, tuple[int, int, int] | None],
    root: Path,
) -> None:
    """Raise InUse if what would be removed now is not what was listed."""
    for path, content in now.items():
        if content is not None and asked.get(path) != content:
            raise InUse(
                f"{shown(path, root)} has changed since it was listed, so nothing was removed: "
                "call it again"
            )


def shown(path: Path, root: Path) -> str:
    """A path for a message, relative to the project if it lies in it."""
    return printable(str(path.relative_to(root) if path.is_relative_to(root) else path))


def printable(text: str) -> str:
    """The text, in quotes with escapes if it has line breaks or other control characters."""
    return text if text.isprintable() else repr(text)


def names(part: Removable, root: Path) -> str:
    """The first few paths."""
    more = len(part.paths) - SHOWN
    text = ", ".join(shown(path, root) for path in part.paths[:SHOWN])
    return text + (f" and {more} more" if more > 0 else "")


def agreed() -> bool:
    """Whether the user says yes. Raises ValueError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ValueError(
            "nobody can be asked here: --yes removes it (make clean YES=1), --dry-run lists it"
        )
    try:
        return input("remove all of this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def remove(path: Path) -> bool:
    """Whether the file or folder is gone; a link is removed, and not what it names."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return gone(path)


if __name__ == "__main__":
    run_stage(main, uses_results=False)
