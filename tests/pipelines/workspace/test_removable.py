"""What is found to be removed: by kind, and nothing that another user or container has."""

import json
import os
import subprocess
import time

import pytest

from foundation.unfinished_files import FOREIGN_AGE_S
from pipelines.workspace import removable
from pipelines.workspace.removable import MARK, caches, gone, mark_of, ray_sessions, results

ENDED = 2**22 + 1


@pytest.fixture
def session(tmp_path):
    def make(name, text):
        folder = tmp_path / "ray" / name
        (folder / "logs").mkdir(parents=True)
        (folder / "logs" / "raylet.out").touch()
        if text is not None:
            (folder / MARK).write_text(text)
        return folder

    return make


def age(folder, seconds):
    then = time.time() - seconds
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


def test_ray_sessions_of_others_and_of_the_living_stay(tmp_path, session):
    ours = mark_of(tmp_path)
    ended = session(f"session_2026-01-01_00-00-00_1_{ENDED}", ours)
    session(f"session_2026-01-01_00-00-00_1_{os.getpid()}", ours)
    session(f"session_2026-01-01_00-00-00_2_{ENDED}", mark_of(tmp_path / "elsewhere"))
    session(f"session_2026-01-01_00-00-00_3_{ENDED}", None)
    served = session(f"session_2026-01-01_00-00-00_4_{ENDED}", ours)
    with subprocess.Popen(["sh", "-c", "read line", served.name], stdin=subprocess.PIPE) as other:
        assert ray_sessions(tmp_path, tmp_path).paths == (ended,)
        other.stdin.close()
    assert ray_sessions(tmp_path, tmp_path).paths == (ended, served)


@pytest.mark.parametrize("old_version", [False, True])
def test_a_session_of_another_container_stays_for_a_day(tmp_path, session, old_version):
    """Its processes have other numbers there, and cannot be seen from here."""
    project = str(tmp_path.resolve())
    other = json.dumps({"project": project, "machine": "0123456789ab"})
    found = session(f"session_2026-01-01_00-00-00_1_{ENDED}", project if old_version else other)
    assert ray_sessions(tmp_path, tmp_path).paths == ()
    age(found, FOREIGN_AGE_S + 60)
    assert ray_sessions(tmp_path, tmp_path).paths == (found,)
    (found / "logs" / "raylet.out").write_text("it works")
    assert ray_sessions(tmp_path, tmp_path).paths == ()


def test_a_folder_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    for name in ("locked", "open"):
        (tmp_path / name / "__pycache__").mkdir(parents=True)
    (tmp_path / ".runs").mkdir()
    listing = removable.Path.iterdir

    def iterdir(self):
        if self.name in ("locked", ".runs"):
            raise PermissionError(13, "Permission denied", str(self))
        return listing(self)

    monkeypatch.setattr(removable.Path, "iterdir", iterdir)
    _, compiled = caches(tmp_path)
    assert compiled.paths == (tmp_path / "open" / "__pycache__",)
    assert not any(part.paths for part in results(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_users_folders_are_passed_over(tmp_path):
    """As before, with a real one: a folder that nobody but its owner may enter."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    (tmp_path / "locked" / "__pycache__").mkdir(parents=True)
    (tmp_path / "locked").chmod(0o700)
    (tmp_path / "open" / "__pycache__").mkdir(parents=True)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # must not go on with pytest
        try:
            os.setgid(65534)
            os.setuid(65534)
            _, compiled = caches(tmp_path)
            said = f"{len(compiled.paths)} {gone(tmp_path / 'locked' / '__pycache__')}"
        except BaseException as error:
            said = repr(error)
        os.write(write, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000) == b"1 False"


def test_environments_and_projects_below_keep_their_compiled_code(tmp_path):
    for name, sign in (("env", "pyvenv.cfg"), ("other", ".git"), ("mine", "code.py")):
        (tmp_path / name / "__pycache__").mkdir(parents=True)
        (tmp_path / name / sign).touch()
    _, compiled = caches(tmp_path)
    assert compiled.paths == (tmp_path / "mine" / "__pycache__",)
