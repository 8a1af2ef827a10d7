import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset import decode as decode_module
from dataset import decoding_memory
from dataset.config import DatasetConfig
from dataset.decode import decode
from dataset.decoding_memory import claim, needed, picture
from dataset.errors import DamagedImage
from dataset.read_ahead import square_pixels
from dataset.sources.record import Record

IMAGE = Image.new("L", (100, 100))  # needs 60,000 bytes


def most_at_once(monkeypatch, bound, fail=False):
    """How many of 4 threads with 3 pictures each ever decode at the same time."""
    monkeypatch.setattr(decoding_memory, "BOUND", bound)
    inside, counts, lock = 0, [], threading.Lock()

    def decode_one(_):
        nonlocal inside
        try:
            with picture():
                claim(IMAGE)
                with lock:
                    inside += 1
                    counts.append(inside)
                time.sleep(0.002)
                with lock:
                    inside -= 1
                if fail:
                    raise DamagedImage("torn")
        except DamagedImage:
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode_one, range(12)))
    assert decoding_memory._in_use == 0 and len(counts) == 12
    return max(counts)


@pytest.mark.parametrize("fail", [False, True])
def test_threads_wait_while_others_hold_too_much(monkeypatch, fail):
    assert needed(IMAGE) == 60_000
    assert most_at_once(monkeypatch, 100_000, fail) == 1
    assert most_at_once(monkeypatch, 130_000, fail) <= 2


def test_a_picture_above_the_bound_is_decoded_alone(monkeypatch):
    assert most_at_once(monkeypatch, 10) == 1


def test_claims_of_one_thread_never_wait_for_one_another(monkeypatch):
    monkeypatch.setattr(decoding_memory, "BOUND", 70_000)
    with picture():
        claim(IMAGE)
        claim(IMAGE)
    claim(IMAGE)
    assert decoding_memory._in_use == 0


def encoded(kind, mode, side, **options):
    buffer = BytesIO()
    pixels = np.zeros((side, side), dtype=np.float32)
    image = Image.fromarray(pixels) if mode == "F" else Image.new(mode, (side, side))
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_decode_claims_by_the_header_before_it_reads_pixels(monkeypatch):
    def stop(image):
        assert image._im is None and image.size == (20, 20)
        raise DamagedImage("claimed")

    monkeypatch.setattr(decode_module, "claim", stop)
    with pytest.raises(DamagedImage, match="claimed"):
        decode(encoded("PNG", "RGB", 20))


def megabytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("TIFF", "F", {"compression": "tiff_lzw"}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("WEBP", "RGB", {"method": 0}),
    ],
)
@pytest.mark.parametrize("resize", ["lanczos", "area"])
def test_no_picture_takes_more_than_is_claimed_for_it(kind, mode, options, resize):
    data = encoded(kind, mode, 2500, **options)
    claimed = needed(Image.open(BytesIO(data))) / 1e6
    config = DatasetConfig(resize=resize, background="red", resolution=64)
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest use so far
    square = square_pixels(Record("picture", lambda: decode(data)), config)
    assert not isinstance(square, str)
    assert megabytes("VmHWM") - before < claimed + 25  # the strips, and the allocator's slack
