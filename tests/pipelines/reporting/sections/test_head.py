"""The head says what was found and what it was made from."""

import re
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines.reporting.headline import metrics_headline
from pipelines.reporting.inputs import Origin
from pipelines.reporting.sections import head

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))


def words(html):
    """The text of a page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html)).strip()


def test_title_names_the_data_and_the_lead_the_result():
    inputs = made.inputs([made.item(), made.item(item="0.2-fast", ema_length=0.2)])
    said = words(head.header(inputs, "kid", inputs.items[0]))
    assert "Generated images of “pets”" in said
    assert "16×16 colour · 128,000 images seen in training · no structure game" in said
    assert "Of 2 evaluated settings, the best by KID is EMA length 0.1 with sampler “fast”" in said
    assert "real images compared with other real images give 0.0010 ± 0.0020" in said
    assert "They lie 9.5 standard deviations apart (20 images on each side)." in said
    assert "Only 20 images stand on each side" in said
    many = words(head.header(made.inputs(), "kid", made.item(n=5000)))
    assert "Only" not in many and many.endswith("(5,000 images on each side).")
    one = words(head.header(made.inputs(), "kid", made.item()))
    assert "One setting was evaluated: EMA length 0.1" in one and "best" not in one


def test_the_second_floor_of_latents_stands_beside_the_first():
    second = {
        "kid_reconstruction": {"value": 0.005, "std": 0.002},
        "reconstruction_psnr": {"value": 21.5},
    }
    latent = made.item(metrics=made.ITEM["metrics"] | second)
    said = words(head.header(made.inputs(), "kid", latent))
    told = "went through the autoencoder have KID 0.0050 ± 0.0020, a PSNR of 21.5 dB"
    assert told in said
    tile = "real: 0.0010 ± 0.0020; through the autoencoder: 0.0050 ± 0.0020"
    assert tile in words(head.headline_tiles(latent))
    assert "KID 0.0200** (real images 0.0010 ± 0.0020, through the autoencoder 0.0050" in (
        metrics_headline(latent)
    )
    of_pixels = head.header(made.inputs(), "kid", made.item()) + head.headline_tiles(made.item())
    assert "autoencoder" not in of_pixels + metrics_headline(made.item())


def test_near_copies_are_told_at_the_top():
    copies = {"looked_at": 1024, "near_copies": 12, "near_copies_across_split": 5}
    told = words(head.header(made.inputs(reference={"copies": copies}), "kid", made.item()))
    assert "12 of 1,024 real images looked at have a near-copy" in told
    assert "5 of them on the other side of the split" in told
    none = made.inputs(reference={"copies": copies | {"near_copies": 0}})
    assert "near-copy" not in head.header(none, "kid", made.item())
    assert "near-copy" not in head.header(made.inputs(), "kid", made.item())


@pytest.mark.parametrize(("kid", "told"), [(0.003, True), (-0.002, True), (0.006, False)])
def test_within_two_deviations_of_the_floor_no_difference_is_claimed(kid, told):
    metrics = {"kid": {"value": kid, "floor": 0.001, "floor_std": 0.002}}
    said = words(head.header(made.inputs(), "kid", made.item(metrics=metrics)))
    assert ("KID does not resolve this difference: with 20 images" in said) == told
    assert ("only differences above about 0.0040 (two" in said) == told


def test_commit_changed_params_and_uncommitted_files_are_named():
    clean = words(head.origin(made.inputs()))
    assert "This page was drawn at Git commit ab12ab12ab12; nothing was uncommitted." in clean
    assert "All params are those of the preset “digits”." in clean
    git = {"git.commit": "ab12" * 10, "git.branch": "idea", "git.dirty": "true"}
    origin = Origin(
        "pets",
        "digits",
        {"train.lr": ("0.01", "0.02")},
        git | {"git.changed": "models/backbones/unet.py, params.yaml"},
    )
    page = head.origin(made.inputs(origin=origin))
    said = words(page)
    assert "ab12ab12ab12 of branch idea, with changes that are not committed" in said
    assert "models/backbones/unet.py, params.yaml" in said
    assert "1 param differs from the closest preset, “digits”:" in said
    assert "<code>train.lr</code></td><td>0.01</td><td>0.02</td>" in page
    assert "<details>" not in page
    many = Origin("pets", "digits", {f"k{i}": ("1", "2") for i in range(30)}, {})
    page = head.origin(made.inputs(origin=many))
    assert "30 params differ" in words(page) and "<summary>Show all 30</summary>" in page
    assert "not under git" in words(page)
