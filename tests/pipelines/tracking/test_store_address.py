"""The store of runs lies in the project's folder, whatever the folder is called."""

import os
import sqlite3
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines import ui
from pipelines.settings.tracking import TrackingConfig
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.store_address import store_address

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("tracked_stages.py"))))
NAME = "what? a;b #1 %3F [x] +& é"


def test_runs_lie_in_a_folder_whose_name_means_something_in_a_url(tmp_path, capsys):
    """MLflow once wrote to tmp_path/what, and made folders such as tmp_path/what%3F."""
    root = tmp_path / NAME
    root.mkdir()
    with runs.start("train", root, "aaaa11") as run:
        run.log_dict({"a": 1}, "facts.json")
    assert capsys.readouterr().err == ""
    assert os.listdir(tmp_path) == [NAME]
    assert {"mlflow.db", "mlruns"} <= set(os.listdir(root))
    with sqlite3.connect(root / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (2,)
    store = open_run_store(runs.CONFIG, root)
    assert store.artifact(run.run_id, "facts.json") == b'{\n  "a": 1\n}'
    (file,) = root.glob("mlruns/**/facts.json")
    assert run.run_id in file.parts


def test_the_page_opens_the_same_store(tmp_path, monkeypatch, capsys, free_port):
    root = tmp_path / NAME
    root.mkdir()
    open_run_store(TrackingConfig(), root)
    (root / "params.yaml").write_text("seed: 0\n")
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr("sys.argv", ["ui", "--port", str(free_port)])
    commands = []
    monkeypatch.setattr(os, "execv", lambda program, words: commands.append(words))
    ui.main()
    (words,) = commands
    address = words[words.index("--backend-store-uri") + 1]
    assert address == store_address(TrackingConfig(), root)
    assert os.listdir(tmp_path) == [NAME]


def test_a_folder_that_no_url_names_is_refused_in_one_line(tmp_path):
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(ValueError, match=r"caf\\udce9', in which .*: rename it, or set tracking"):
        store_address(TrackingConfig(), root)
    assert store_address(TrackingConfig(uri="http://host:5000"), root) == "http://host:5000"
