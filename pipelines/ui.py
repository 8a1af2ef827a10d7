"""Start the MLflow UI with the runs; only this machine can reach it unless --host is given."""

import argparse
import os
import socket
import sys

from pipelines.console.command import check_argument, run_stage
from pipelines.params import load_params
from pipelines.tracking.connection import open_run_store, runs_page
from pipelines.tracking.store_address import store_address
from pipelines.workspace.paths import dvc_root


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    arguments.add_argument("--port", type=int, default=5000, help="(default: %(default)s)")
    args = arguments.parse_args()
    check_argument("--port", args.port, 1, 65_535, "ports have 16 bits")
    root, params = dvc_root(), load_params()
    uri = params.tracking.uri
    if uri and uri.startswith("http"):
        raise ValueError(f"tracking.uri is a server already: open {uri} in the browser")
    if uri is None and not (root / "mlflow.db").exists():
        raise ValueError("there are no runs yet: make repro makes the first")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((args.host, args.port))
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise ValueError(f"--host {args.host}: {error.strerror}") from None
            other = args.port + 1 if args.port < 65_535 else args.port - 1
            raise ValueError(
                f"port {args.port} on {args.host} is taken ({error.strerror}): "
                f"choose another, python -m pipelines.ui --port {other}"
            ) from None
    store = store_address(params.tracking, root)
    page = runs_page(open_run_store(params.tracking, root).experiment_id)
    print(
        f"the runs are at http://{args.host}:{args.port}{page}  (Ctrl-C ends the server)",
        flush=True,
    )
    # One user needs one server process, and none for the jobs of MLflow's language-model tools.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        store,
        "--host",
        args.host,
        "--port",
        str(args.port),
        "--workers",
        "1",
    ]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    run_stage(main)
