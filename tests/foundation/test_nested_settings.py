from foundation.nested_settings import merged


def test_sections_are_merged_and_lists_replaced():
    params = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merged(params, {"a": {"c": [4]}, "e": 5}) == {"a": {"b": 1, "c": [4]}, "d": 3, "e": 5}
    assert params == {"a": {"b": 1, "c": [1, 2]}, "d": 3}
