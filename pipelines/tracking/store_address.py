"""The addresses that MLflow is given: of the store of runs, and of the folder of their files.

A path is no URL: `?`, `#`, `%` and `;` in a folder's name mean something else there, so they are
written as %3F and so on.
"""

from pathlib import Path

from pipelines.settings.tracking import TrackingConfig

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"


def store_address(config: TrackingConfig, root: Path) -> str:
    """tracking.uri, or the URL of the file mlflow.db in `root`.

    Raises ValueError if no URL names that file, as in a folder whose name is not UTF-8.
    """
    if config.uri:
        return config.uri
    # MLflow brings SQLAlchemy, which reads the URL. Its versions differ in how they do, so it
    # writes it too. The driver is named, since MLflow makes folders from URLs without one, by a
    # rule of its own that takes %3F literally.
    from sqlalchemy.engine import URL, make_url

    path = str(Path(root).resolve() / DATABASE)
    try:
        url = URL.create("sqlite+pysqlite", database=path).render_as_string(hide_password=False)
        read = make_url(url).database
    except UnicodeError:
        read = None
    if read != path:
        raise ValueError(
            f"no URL names the folder {str(root)!a}, in which MLflow would keep mlflow.db: "
            "rename it, or set tracking.uri"
        )
    return url


def artifact_address(config: TrackingConfig, root: Path) -> str | None:
    """The URL of the folder mlruns in `root`; None with tracking.uri, whose store knows its own."""
    return None if config.uri else (Path(root).resolve() / ARTIFACTS).as_uri()
