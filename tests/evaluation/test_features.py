import numpy as np
import pytest

import evaluation.features
from evaluation.features import RunningStatistics, write_features
from models.extractors.classifier import ClassifierExtractor


def test_running_statistics_equal_the_whole():
    x = np.random.default_rng(0).normal(5, 2, size=(97, 6))
    for sizes in ([97], [1, 96], [40, 1, 56], [30] * 3 + [7]):
        statistics = RunningStatistics(6)
        for part in np.split(x, np.cumsum(sizes)[:-1]):
            statistics.update(part)
        np.testing.assert_allclose(statistics.mean, x.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(statistics.cov, np.cov(x, rowvar=False), rtol=1e-10)


@pytest.mark.parametrize("chunk_bytes", [1, 64 * 7, 1 << 25])
def test_written_features_are_those_of_the_chosen_images(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(evaluation.features, "CHUNK_BYTES", chunk_bytes)
    images = np.random.default_rng(1).integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    network = ClassifierExtractor((1, 8, 8), 3).eval()
    chosen, told = np.arange(1, 30, 2), []
    statistics = write_features(
        network, images, chosen, tmp_path / "f.npy", lambda *step: told.append(step)
    )
    stored = np.load(tmp_path / "f.npy")
    np.testing.assert_allclose(stored, network.features(images[chosen]), atol=1e-6)
    np.testing.assert_allclose(statistics.mean, stored.mean(axis=0), atol=1e-6)
    assert told[-1] == (15, 15) and [path.name for path in tmp_path.iterdir()] == ["f.npy"]
