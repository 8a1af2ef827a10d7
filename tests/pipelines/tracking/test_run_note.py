"""The description of a run: its order, its links, and what is replaced."""

from pipelines.tracking.run_note import END, results_note, results_of, with_results


def test_numbers_come_first_then_pictures_then_the_rest():
    links = {"charts": "#/runs/7/model-metrics", "the report": "#/runs/7/artifacts/report.html"}
    note = results_note("7", "**KID 2**", {"overview/a b.png": "generated [x]"}, "others", links)
    assert note.split("\n\n") == [
        "**KID 2**",
        r"![generated \[x\]](get-artifact?path=overview%2Fa%20b.png&run_uuid=7)",
        "others",
        r"Pictures: generated \[x\]. More: [charts](#/runs/7/model-metrics), "
        "[the report](#/runs/7/artifacts/report.html).",
    ]
    assert results_note("7", "**KID 2**", {}, "", {}) == "**KID 2**"


def test_results_replace_earlier_ones_and_nothing_else():
    once = with_results("Changed against x.", "KID 1")
    twice = with_results(once, "KID 2")
    assert twice == f"KID 2\n\n{END}\n\nChanged against x."
    assert results_of(twice) == "KID 2" and results_of("Changed against x.") is None
    assert with_results(None, "KID 3") == f"KID 3\n\n{END}" and results_of(None) is None
