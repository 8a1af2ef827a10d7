"""Copies of the project, in which tests may edit files and run stages."""

import contextlib
import io
import json
import logging
import os
import shutil
import signal
from pathlib import Path

import pytest

from pipelines.settings.schema import Params

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "dataset",
    "discriminators",
    "evaluation",
    "foundation",
    "models",
    "pipelines",
    "sampling",
    "training",
)


@pytest.fixture(scope="session")
def dvc_cache(tmp_path_factory):
    """One cache of DVC for all clones of a session, also of several test processes."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "dvc-cache"


@pytest.fixture(scope="module")
def signals_heard():
    """SIGHUP and SIGINT are heard, also where nohup or a background job began the tests."""
    ways = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, way) for number, way in ways.items()}
    yield
    for number, way in before.items():
        signal.signal(number, way)


@pytest.fixture
def copy_code():
    """copy_code(target, source=ROOT) copies the packages that stages import, and dvc.yaml."""

    def copy(target: Path, source: Path = ROOT) -> None:
        no_cache = shutil.ignore_patterns("__pycache__")
        for name in PACKAGES:
            shutil.copytree(source / name, target / name, ignore=no_cache)
        shutil.copy(source / "dvc.yaml", target)

    return copy


@pytest.fixture
def write_data_set():
    """write_data_set(folder, params) writes a dataset.json as if `prepare` had made it there."""

    def write(folder: Path, params: Params) -> None:
        facts = params.dataset.model_dump(mode="json") | {"content_hash": "data"}
        path = folder / "outputs" / "dataset" / "dataset.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts))

    return write


@pytest.fixture
def workspace(tmp_path, monkeypatch, copy_code):
    """The copy's folder, which is the current one."""
    copy_code(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def s3_server():
    """http://HOST:PORT of a server that speaks S3, with the bucket "runs"."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with contextlib.redirect_stdout(io.StringIO()):
        server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        from pyarrow.fs import S3FileSystem

        system = S3FileSystem(
            endpoint_override=f"{host}:{port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        system.create_dir("runs")
        yield f"http://{host}:{port}"
    server.stop()
