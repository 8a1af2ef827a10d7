"""The digits, prepared once for all tests of training."""

from pathlib import Path

import pytest

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "dataset"
    prepare_dataset(DatasetConfig(), folder)
    return folder


@pytest.fixture(scope="session")
def digits(digits_folder) -> ImageDataset:
    return ImageDataset(digits_folder)
