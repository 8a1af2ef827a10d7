"""Whether what params name is there: images, weights, the store of runs, the cluster."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import is_zipfile

from foundation.json_files import read_object
from pipelines.ray_jobs.session import check_address
from pipelines.ray_jobs.waiting import check_room
from pipelines.settings.schema import Params
from pipelines.tracking.store_address import DATABASE
from pipelines.workspace.paths import DATASET, dvc_root
from pipelines.workspace.weights_files import (
    check_autoencoder,
    check_encoder,
    check_guiding,
    check_init,
)

PATIENCE_S = 3.0
SOURCE_FACTS = ("source", "path", "name", "resolution", "resize", "background", "held_out")
"""Settings of `dataset` that dataset.json repeats."""


def problems(params: Params) -> Iterator[str]:
    """A line, with the mend, for each thing without which a stage would surely fail."""
    if not os.access(".", os.W_OK):
        yield f"{Path.cwd()}: this user may not write here: change its owner, or use a copy"
    prepared = is_prepared(params)
    checks: list[Callable[[], object]] = [
        *([] if prepared else [lambda: _images(params)]),
        lambda: _extractors(params),
        lambda: check_init(params),
        lambda: check_autoencoder(params),
        lambda: check_encoder(params),
        *(
            lambda name=name: check_guiding(params.sampling[name], name)  # type: ignore[misc]
            for name in params.samplers
        ),
        lambda: _cluster(params),
        lambda: _storage(params),
    ]
    for check in checks:
        try:
            check()
        except (ValueError, RuntimeError, OSError) as error:
            yield str(error)


def remarks(params: Params) -> Iterator[str]:
    """A line for each thing that may be meant, or that goes on without."""
    if is_prepared(params):
        try:
            _images(params)
        except (ValueError, RuntimeError, OSError) as error:
            yield f"{DATASET} is prepared, and cannot be prepared again: {error}"
    elif params.dataset.source == "torchvision" and not _torchvision_files(params):
        where = params.dataset.path or "the usual folders"
        yield f"{params.dataset.name} is not in {where}: the stage prepare downloads it"
    elif params.dataset.source == "huggingface" and not Path(params.dataset.name or "").is_dir():
        yield f"the stage prepare downloads {params.dataset.name} from the Hugging Face hub"
    if not params.tracking.enabled:
        return
    file = dvc_root() / DATABASE
    if not params.tracking.uri:
        if file.exists() and not os.access(file, os.W_OK):
            yield (
                f"{file}: this user may not write it, so MLflow keeps nothing of these stages: "
                "change its owner, or move it away"
            )
        return
    address = urlsplit(params.tracking.uri)
    if address.scheme in ("http", "https") and address.hostname:
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        try:
            socket.create_connection((address.hostname, port), timeout=PATIENCE_S).close()
        except OSError as error:
            yield (
                f"tracking.uri: {params.tracking.uri} does not answer ({error}): the stages run, "
                "and MLflow keeps nothing of them; start the server, or correct the address"
            )


def is_prepared(params: Params) -> bool:
    """Whether outputs/dataset was made from the source that params name, as far as it says so."""
    try:
        facts = read_object(DATASET / "dataset.json")
    except (OSError, ValueError):
        return False
    asked = params.dataset.model_dump(mode="json")
    return all(facts.get(key) == asked[key] for key in SOURCE_FACTS)


def _images(params: Params) -> None:
    """Raise DatasetError if the source of images cannot be opened, as prepare would."""
    config, roots = params.dataset, (Path(), dvc_root())
    if config.source == "image_folder":
        from dataset.errors import DatasetError
        from dataset.sources.locate import locate

        assert config.path is not None
        path = locate(config.path, roots)
        if path.is_dir():
            if not any(files for _, _, files in os.walk(path)):
                raise DatasetError(f"dataset.path: {path} holds no files: name another folder")
        elif not is_zipfile(path):
            raise DatasetError(
                f"dataset.path: {path} is neither a folder nor an intact zip: give one of the two"
            )
    elif config.source == "torchvision" and config.path is not None:
        folder = Path(config.path).expanduser()
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"dataset.path: {folder} is no folder: name that of the files")
    elif config.source == "huggingface":
        from importlib.util import find_spec

        if find_spec("datasets") is None:
            raise ValueError(
                "dataset.source huggingface needs the library datasets: pip install datasets"
            )


def _torchvision_files(params: Params) -> bool:
    """Whether any file of the data set seems to lie where prepare looks for it."""
    name = {"FashionMNIST": "*-images-idx3-ubyte*", "CIFAR10": "*cifar-10*"}
    folders = [Path(params.dataset.path or "~/.cache/torch/datasets").expanduser()]
    if params.dataset.path is None:
        folders.append(Path("/usr/share/datasets/fashion-mnist"))
    pattern = name.get(params.dataset.name or "", "*")
    below = ("", "raw", "FashionMNIST/raw")
    places = [folder / part for folder in folders for part in below]
    return any(folder.is_dir() and any(folder.glob(pattern)) for folder in places)


def _extractors(params: Params) -> None:
    """Raise ExtractorError if a network that gives features has no weights here."""
    names: set[str] = {params.evaluation.extractor}
    if params.structure.kind != "none":
        names.add(params.structure.features)
    wanted = sorted(names & {"inception", "efficientnet_lite0"})
    if not wanted:
        return
    from models.extractors.load import load_extractor

    for name in wanted:
        load_extractor(name, inception_path=params.evaluation.inception_path)


def _cluster(params: Params) -> None:
    """Raise ClusterError if the cluster does not answer, or this machine is too small."""
    cluster = params.cluster
    if cluster.address:
        check_address(cluster.address, PATIENCE_S)
    elif cluster.fewest_workers:
        import torch

        gpus = float(torch.cuda.device_count()) if cluster.use_gpu is not False else 0.0
        on_gpus = cluster.use_gpu or (cluster.use_gpu is None and gpus >= cluster.fewest_workers)
        kind, have = ("GPU", gpus) if on_gpus else ("CPU", float(os.cpu_count() or 1))
        check_room(cluster.fewest_workers, {kind: 1.0}, {kind: have})


def _storage(params: Params) -> None:
    """Raise StorageError if the storage for copies of runs cannot be written and read."""
    if params.cluster.storage is not None:
        from pipelines.run_copies.stores import probe

        probe(params.cluster.storage)
