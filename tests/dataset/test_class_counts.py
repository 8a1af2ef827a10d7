from dataset.class_counts import class_counts


def manifest(counts, names=None, unlabelled=0):
    names = names or [f"c{i}" for i in range(len(counts))]
    return {"label_names": names, "class_counts": counts, "num_unlabelled": unlabelled}


def test_few_classes_are_listed_in_their_order():
    assert class_counts(manifest([1200, 7], ["cat", "a dog"], 5)) == [
        "images of each class: cat (1,200), a dog (7)",
        "images without a class: 5",
        "fewer than a tenth of the median class's 1,200 images: a dog",
    ]
    assert class_counts(manifest([])) == [] and class_counts({}) == []


def test_of_many_classes_the_ends_are_told():
    (line,) = class_counts(manifest(list(range(1300, 300, -1))))
    assert line == (
        "1,000 classes of 301 to 1,300 images; fewest: c999 (301), c998 (302), c997 (303); "
        "most: c0 (1,300), c1 (1,299), c2 (1,298)"
    )
    rare = class_counts(manifest([1, 1, 1, 1] + [100] * 20))[-1]
    assert rare.endswith("median class's 100 images: c0, c1, c2 and 1 more")
