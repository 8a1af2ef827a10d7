"""How a number is written where it names something: a file, an item, a run."""


def number_name(value: float) -> str:
    """The shortest text that reads back as exactly this number: "0.1", "0.1111111", "64", "1e-05".

    So different numbers have different names. DVC writes numbers below 1 in the same way.
    """
    return repr(float(value)).removesuffix(".0")
