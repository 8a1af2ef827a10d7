from studies.fixed_reference import main


def test_the_stored_classifier_gives_the_same_reference(material, tmp_path):
    stored = material.reference / "classifier.safetensors"
    main(["--dataset", str(material.dataset), "--classifier", str(stored), "--out", str(tmp_path)])
    for name in ("reference.json", "train_features.npy", "held_out_features.npy"):
        assert (tmp_path / name).read_bytes() == (material.reference / name).read_bytes()
