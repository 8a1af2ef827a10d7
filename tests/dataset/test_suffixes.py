from dataset.suffixes import count_by_suffix, in_words, suffix_of


def test_counts_by_suffix_most_frequent_first():
    names = ["a/1.HEIC", "b.heic", "c.txt", "LICENSE", ".profile", "d.tar.gz"]
    assert [suffix_of(name) for name in names] == [".heic", ".heic", ".txt", "", "", ".gz"]
    counts = count_by_suffix(names)
    assert list(counts.items()) == [(".heic", 2), ("no suffix", 2), (".gz", 1), (".txt", 1)]
    assert in_words(counts) == "2 .heic, 2 no suffix, 1 .gz, 1 .txt"


def test_a_suffix_for_each_file_makes_no_endless_list():
    counts = count_by_suffix([f"scan.{i:04}" for i in range(1000)] + ["a.dcm", "b.dcm"])
    assert len(counts) == 21 and counts["other suffixes"] == 981
    assert sum(counts.values()) == 1002


def test_odd_suffixes_are_none_or_escaped():
    assert suffix_of("Dr. Smith at home") == suffix_of("a.b c") == suffix_of("a." + "x" * 11) == ""
    assert count_by_suffix(["a.caf\udce9", "b.\x07"]) == {".\\x07": 1, ".caf\\udce9": 1}
