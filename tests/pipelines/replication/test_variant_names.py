"""What all variants share is said once, and columns say what differs."""

import io

import pytest
from rich.console import Console

from pipelines.replication.report import Result, print_tables, summarise
from pipelines.replication.variant_names import common_settings, short_variants


@pytest.mark.parametrize(
    ("variants", "common", "short"),
    [
        (["k=a n=1", "k=b n=1"], ["n=1"], ["k=a", "k=b"]),
        (["k=a n=1 m=2", "k=a n=2 m=2"], ["k=a", "m=2"], ["n=1", "n=2"]),
        (["a.b=[1, 2] n=1", "a.b=[1, 3] n=1"], ["n=1"], ["a.b=[1, 2]", "a.b=[1, 3]"]),
        (["k=a n=1"], [], ["k=a n=1"]),
        (["params.yaml"], [], ["params.yaml"]),
        ([], [], []),
    ],
)
def test_what_all_variants_have_is_left_out_of_their_names(variants, common, short):
    assert (common_settings(variants), short_variants(variants)) == (common, short)


def test_tables_say_once_what_is_common_and_name_metrics_by_their_titles():
    results = [
        Result(f"structure.kind={kind} train.total_kimg=4", seed, {"fd": value + 0.1 * seed})
        for seed in range(2)
        for kind, value in (("none", 1.0), ("graph", 2.0))
    ]
    console = Console(width=100, file=io.StringIO())
    print_tables(summarise(results), console)
    said = console.file.getvalue()
    assert said.splitlines()[0] == "in all variants: train.total_kimg=4"
    assert said.count("train.total_kimg") == 1
    assert "paired difference from structure.kind=none with" in said
    assert said.count("\nFD  ") == 2 and "fd" not in said
