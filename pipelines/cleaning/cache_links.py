"""What would lose its content with DVC's cache: links into it, and data that only it has."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.workspace.removable import links

APART = (".venv", ".git", ".dvc")


def check_cache_unused(root: Path, going: Iterable[Path]) -> None:
    """Raise ValueError if anything that stays needs DVC's cache.

    going: paths that are removed besides the cache.
    """
    folders = {str(path) for path in going}
    lost = [path for path in _needing(root) if not folders & {str(path), *map(str, path.parents)}]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise ValueError(
            f"--dvc-cache: {str(lost[0].relative_to(root))!r}{more} would lose the content, which "
            "only DVC's cache has: dvc checkout, then dvc unprotect  makes files of their own; "
            "results go together with the cache if no other part is named"
        )


def _needing(root: Path) -> Iterator[Path]:
    cache = os.path.realpath(root / ".dvc" / "cache") + os.sep
    tops = [root, *links(root)]  # also results that lie on another disk
    for where, folders, files in (entry for top in tops for entry in os.walk(top)):
        folders[:] = [name for name in folders if name not in APART]
        for name in (*folders, *files):
            path = Path(where, name)
            if path.is_symlink() and os.path.realpath(path).startswith(cache):
                yield path
        for name in files:
            if name.endswith(".dvc"):
                yield from (path for path in _tracked(Path(where, name)) if not path.exists())


def _tracked(file: Path) -> Iterator[Path]:
    """Files and folders that `dvc add` put under DVC's control with this .dvc file."""
    try:
        outs = read_yaml(file).get("outs") or []
    except (OSError, ParamsError):
        outs = []
    for out in outs if isinstance(outs, list) else []:
        if isinstance(out, dict) and isinstance(out.get("path"), str):
            yield file.parent / out["path"]
