"""Remove what runs have made: lists it with sizes, asks, and removes it.

examples:
  python -m pipelines.clean --dry-run   list, and remove nothing
  python -m pipelines.clean             results, runs, caches, logs of Ray (as make clean)
  python -m pipelines.clean --stale     only results that params do not name, and unfinished runs
                                        of other params
  python -m pipelines.clean --caches --ray --yes   only these, without asking

The environment (.venv), params and code stay, and so does DVC's cache unless --dvc-cache is given:
`dvc checkout` brings committed results back from it.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from pipelines.console.command import run_stage
from pipelines.params import load_params
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.workspace.fingerprint import stage_identity, student_identity
from pipelines.workspace.in_use import check_closed, unused
from pipelines.workspace.leftovers import in_words, stale
from pipelines.workspace.paths import dvc_root
from pipelines.workspace.removable import (
    Removable,
    caches,
    dvc_cache,
    finished_runs,
    ray_sessions,
    results,
    unfinished_runs,
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
        help="results in outputs/ that params do not name, unfinished runs of other params",
    )
    parts.add_argument("--caches", action="store_true", help="caches of Python and of tools")
    parts.add_argument("--ray", action="store_true", help="logs of Ray sessions that have ended")
    parts.add_argument(
        "--dvc-cache", action="store_true", help="besides all else: every result DVC has kept"
    )
    return out


def main() -> None:
    args, root = command_line().parse_args(), dvc_root()
    found = [part for part in chosen(args, root) if part.paths]
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
    with nullcontext() if only_caches else unused(root):
        paths = [path for part in found for path in part.paths]
        check_closed(paths)
        if not args.yes and not agreed():
            print("clean: nothing was removed")
            return
        left = [path for path in paths if not remove(path)]
    for path in left:
        print(f"clean: {path} could not be removed: it belongs to another user, or changed now")
    print(f"clean: {len(paths) - len(left)} files and folders removed")


def chosen(args: argparse.Namespace, root: Path) -> Iterator[Removable]:
    """What the options ask for."""
    everything = not (args.stale or args.caches or args.ray)
    if everything:
        yield from results(root)
    if args.stale:
        yield from stale_parts(load_params(args.params), root)
    if everything or args.caches:
        yield from caches(root)
    if everything or args.ray:
        yield ray_sessions(root)
    if args.dvc_cache:
        yield dvc_cache(root)


def stale_parts(params: Params, root: Path) -> Iterator[Removable]:
    """Results in outputs/ and unfinished runs that params do not name; tells of finished ones."""
    yield Removable("results that params do not name", tuple(stale(params)))
    current = {stage_identity("train", params).folder(root).name}
    current |= {student_identity(params, name).folder(root).name for name in params.distil}
    yield unfinished_runs(root, current)
    done = finished_runs(root, current)
    if done.paths:
        print(
            f"kept: {len(done.paths)} finished runs of other params, data or code under .runs "
            f"({in_words(done.size)}): DVC would use them without training when params name them "
            "again; python -m pipelines.clean  without --stale removes them too"
        )


def names(part: Removable, root: Path) -> str:
    """The first few paths, those in the project relative to it."""
    shown = [
        str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        for path in part.paths[:SHOWN]
    ]
    more = len(part.paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


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
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()


if __name__ == "__main__":
    run_stage(main)
