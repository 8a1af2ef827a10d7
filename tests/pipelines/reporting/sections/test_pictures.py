"""Pictures stand beside real ones, with captions, and classes without one are named."""

import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from pipelines.reporting.sections import pictures

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))
SHOWN = {"0.1-fast": {"samples": b"s", "real": b"r", "nearest": b"n"}}


def test_real_images_stand_beside_the_samples():
    page = pictures.samples(made.inputs(pictures=SHOWN), made.item())
    order = [page.index(f"base64,{code}") for code in ("cw==", "cg==", "bg==")]
    assert order == sorted(order)
    assert "Generated: the first of 64 images of EMA length 0.1 and sampler “fast”" in page
    assert "Real: the same classes in the same places" in page
    unlabelled = made.inputs(pictures=SHOWN, dataset={"num_classes": 0})
    assert "class" not in re.sub("training images where.*too few", "", _text(unlabelled))


def _text(inputs):
    page = pictures.samples(inputs, made.item())
    return re.sub(r"<[^>]*>", " ", page)


def test_classes_without_a_sample_are_named():
    item = made.item(
        classes_without_image=["<b>emu</b>"],
        classes_without_picture=["<b>emu</b>", "yak"],
    )
    page = pictures.samples(made.inputs(pictures=SHOWN), item)
    assert "without any generated image" in page and "&lt;b&gt;emu&lt;/b&gt;" in page
    assert "not in the picture: yak (raise evaluation.picture_images" in page
    many = made.item(classes_without_image=[f"c{i}" for i in range(300)])
    assert "c10, c11 and 288 more." in pictures.samples(made.inputs(pictures=SHOWN), many)
    assert "without any" not in pictures.samples(made.inputs(pictures=SHOWN), made.item())


def test_the_data_set_is_shown_with_its_counts():
    page = pictures.data_set(made.inputs(sheet=b"sheet"))
    assert "75 images were trained on; 25 were held out" in page
    assert "Images of each class: cat &amp; &lt;dog&gt; (60), ant (40)." in page
    assert "c2hlZXQ=" in page
    many = {"label_names": [f"c{i}" for i in range(500)], "class_counts": list(range(1, 501))}
    page = pictures.data_set(made.inputs(dataset=many))
    assert "500 classes of 1 to 500 images; fewest: c0 (1)" in page
    assert "the first 100 of 500" in page and page.count("<tr>") == 100
    assert "Images of each class" not in pictures.data_set(made.inputs(dataset={"num_train": 5}))


def test_other_settings_are_told_to_start_from_the_same_noise():
    other = made.item(item="0.2-fast", ema_length=0.2)
    inputs = made.inputs([made.item(), other], pictures={"0.2-fast": {"samples": b"s"}})
    page = pictures.other_settings(inputs, inputs.items[0])
    assert "EMA length 0.2, sampler fast" in page and "same noise and class" in page
    assert pictures.other_settings(made.inputs(), made.item()) == ""
