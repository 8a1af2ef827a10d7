"""Prints the tables of docs/metrics.md: every metric, its meaning and which way is better.

Run as: python -m pipelines.upkeep.metric_doc, then replace the tables there by what it prints.
"""

import argparse
from collections.abc import Iterator, Mapping

from evaluation.metric_table import BETTER_WORDS, CURVES, METRICS, MetricEntry


def render() -> str:
    """Both tables as markdown: metrics of generated images, curves of a training."""
    parts = {"metric of generated images": METRICS, "curve of a training": CURVES}
    return "\n".join("\n".join(_rows(head, part)) + "\n" for head, part in parts.items())


def _rows(head: str, part: Mapping[str, MetricEntry]) -> Iterator[str]:
    yield f"| {head} | title | meaning | better | why |"
    yield "|---|---|---|---|---|"
    for key, row in part.items():
        title, says = row.title.replace("|", "\\|"), row.says.rstrip(".")
        yield f"| `{key}` | {title} | {says} | {BETTER_WORDS[row.better] or '-'} | {row.why} |"


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m pipelines.upkeep.metric_doc",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    print(render())


if __name__ == "__main__":
    main()
