import numpy as np
from sklearn.datasets import load_digits

from dataset.config import DatasetConfig
from dataset.sources.digits import open_digits


def test_all_digits_in_order_with_ink_scaled_to_bytes():
    digits = load_digits()
    with open_digits(DatasetConfig(), ()) as source:
        records = list(source.records)
        pixels = np.stack([np.asarray(record.load()) for record in records])
    assert source.count == len(records) == 1797
    assert source.label_names == tuple("0123456789")
    assert [record.label for record in records] == digits.target.tolist()
    assert pixels.dtype == np.uint8 and pixels.min() == 0 and pixels.max() == 255
    assert np.abs(pixels / 255 - digits.images / 16).max() <= 0.5 / 255 + 1e-9
