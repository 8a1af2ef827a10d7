"""Names of runs without what they share."""

import pytest

from pipelines.comparison.short_names import short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["digits none s0 +2 91bc", "digits graph s0 3f2a"], ["none 91bc", "graph 3f2a"]),
        (["a s0 1", "a s0 b 1"], ["a s0 1", "a s0 b 1"]),  # nothing would be left of the first
        (["a b", "b a"], ["a b", "b a"]),
        (["a", "a"], ["a", "a"]),
        (["a b c"], ["a b c"]),
        ([], []),
    ],
)
def test_common_words_are_left_out_unless_names_become_equal(names, short):
    assert short_names(names) == short
