"""A process whose user has no name and no home gets both."""

import os
import pwd
from pathlib import Path

import pytest

from pipelines.ray_jobs.session import _keep_token_in_memory
from pipelines.workspace import user


@pytest.fixture
def nameless(monkeypatch):
    """A user who is not in the list of users, in an environment that names none."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.setenv(name, "x")  # so that it is set again after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(user, "SETTLED", {})


def test_a_nameless_user_gets_a_name_and_a_home(nameless, tmp_path):
    name = f"uid-{os.getuid()}"
    assert user.user_name() == name
    assert user.home() is None
    user.settle_user(tmp_path)
    assert os.environ["USER"] == name and user.home() == tmp_path / ".runs" / "home"
    assert user.home().is_dir()
    told = user.missing_for_dvc()
    assert f"export USER={name} HOME={tmp_path}/.runs/home" in told


def test_a_home_that_is_there_is_kept(nameless, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere")
    user.settle_user(tmp_path)
    assert user.home() == Path("/nowhere") and not (tmp_path / ".runs").exists()
    assert "HOME" not in user.missing_for_dvc()


def test_a_known_user_is_told_nothing(monkeypatch, tmp_path):
    for name in ("USER", "HOME"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    user.settle_user(tmp_path)
    assert os.environ["HOME"] == pwd.getpwuid(os.getuid()).pw_dir
    assert not (tmp_path / ".runs").exists()
    assert user.missing_for_dvc() is None


def test_ray_gets_a_token_where_it_could_write_none(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "new"))  # which Ray may make
    _keep_token_in_memory()
    assert "RAY_AUTH_TOKEN" not in os.environ
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    _keep_token_in_memory()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
