from pipelines.prepare import left_out


def test_what_is_left_out_is_told_by_kind_with_the_reason():
    heic = [{"file": f"cat/{i}.heic", "reason": "HEIC: convert it"} for i in range(48)]
    torn = [{"file": "dog/1.png", "reason": "cut off"}]
    manifest = {"skipped": heic, "empty_classes": ["cat"], "other_files": {".txt": 3}}
    assert left_out(manifest) == [
        "skipped, since they cannot be read: 48 .heic (HEIC: convert it); dataset.json names each",
        "classes without a readable image: cat",
        "left out, since they are no images: 3 .txt",
    ]
    assert "48 .heic, 1 .png (most often: HEIC" in left_out(manifest | {"skipped": heic + torn})[0]
    assert left_out({"skipped": [], "empty_classes": [], "other_files": {}}) == []
