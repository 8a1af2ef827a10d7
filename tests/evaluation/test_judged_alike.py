"""Which judgements may be compared."""

import json

from evaluation.judged_alike import data_name, judged_by, judged_differently, refusal

PROTOCOL = {
    "extractor": "classifier",
    "metric_name": "FD-Classifier",
    "weights_sha256": "5b5a63b2ce89740d" + "0" * 48,
    "training": {"seed": 1},
    "versions": {"torch": "2.14.1"},
    "n": 227,
    "num_generated": 512,
    "copies": {"merged_train": 1, "merged_held_out": 2, "near_copies": 5},
    "dataset_hash": "95448aa8f58f7ac8" + "1" * 48,
    "k": 5,
    "seed": 0,
    "notes": [],
}
DIGITS = {"source": "digits", "resolution": 8, "channels": 1}


def differing(dataset=DIGITS, **changes):
    bases = judged_by(PROTOCOL, DIGITS), judged_by(PROTOCOL | changes, dataset)
    return {row[0]: row[1:] for row in judged_differently(bases)}


def test_the_seed_and_what_only_tells_do_not_matter():
    again = {"seed": 7, "notes": ["x"], "versions": {}, "training": {"seed": 2}}
    assert differing(**again, copies=PROTOCOL["copies"] | {"near_copies": 9}) == {}
    assert differing({**DIGITS, "source": "image_folder", "path": "/a/b.zip"}) == {}


def test_data_network_and_counts_do():
    photos = {"source": "image_folder", "path": "/x/photos", "resolution": 32, "channels": 3}
    found = differing(photos, dataset_hash="ab" * 32, n=50, extractor="inception", k=3)
    assert found == {
        "data": ["digits, 8x8, 1 channel (95448aa8)", "photos, 32x32, 3 channels (abababab)"],
        "n (images on each side)": ["227", "50"],
        "feature network": ["classifier", "inception"],
        "k": ["5", "3"],
    }
    assert differing(weights_sha256="c" * 64) == {
        "weights of the feature network": ["5b5a63b2ce89740d", "c" * 16]
    }
    assert differing(copies={"merged_train": 0}) == {"copies merged": ["3", "0"]}
    # An entry that a later version of the protocol adds counts without being named anywhere.
    assert list(differing(dequantisation="uniform")) == []
    bases = [judged_by(PROTOCOL | {"dequantisation": v}, DIGITS) for v in ("none", "uniform")]
    assert judged_differently(bases) == [["dequantisation", "none", "uniform"]]


def test_what_is_not_known_differs_from_nothing():
    known = judged_by(PROTOCOL, DIGITS)
    assert judged_by({}, DIGITS) == {} and judged_differently([known, {}, known]) == []
    other = known | {"n": 50}
    assert judged_differently([known, {}, other]) == [["n (images on each side)", "227", "-", "50"]]
    assert json.loads(json.dumps(known)) == known


def test_the_refusal_names_what_differs_and_the_mend():
    line = refusal([["data", "a", "b"], ["k", "5", "3"]], "runs")
    assert "differ in data, k" in line and "--anyway" in line and "\n" not in line
    assert data_name({"source": "torchvision", "name": "CIFAR10"}).startswith("CIFAR10, ?x?")
