"""Is this result still what its record says? Looks again at everything that it was made from.

Hashes data, reference, weights, judgements and code anew, reads params.yaml, and compares them with
reports/provenance.json, whose own hash stands in reports/metrics.json. Prints what differs and ends
with 1; with 0 where nothing does.
"""

import sys
from pathlib import Path

from pipelines.console.command import parser, run_stage
from pipelines.params import load_params
from pipelines.reporting.provenance import PARTS, differences, provenance
from pipelines.reporting.stage_outputs import PROVENANCE, ResultsError, read_json
from pipelines.workspace.paths import REPORTS
from pipelines.workspace.stage_code import content_hash

SHOWN = 20
"""Differences of one part that are printed."""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--reports",
        type=Path,
        default=REPORTS,
        metavar="FOLDER",
        help="of metrics.json and provenance.json (default: %(default)s)",
    )
    args = arguments.parse_args()
    params = load_params(args.params)
    recorded = _recorded(args.reports)
    found = differences(recorded, provenance(params))
    for part in PARTS:
        lines = found.get(part, [])
        state = "NOT as recorded" if lines else "as recorded"
        print(f"{part:<11}{len(recorded.get(part, {})):,} entries, {state}")
        for line in lines[:SHOWN]:
            print(f"  {line}")
        if len(lines) > SHOWN:
            print(f"  and {len(lines) - SHOWN} more")
    if found:
        sys.exit(
            f"error: {', '.join(found)}: not what {args.reports / 'metrics.json'} was made from: "
            "`dvc repro` makes the result of what is there now; where it finds nothing to do, as "
            "code changed and not what it makes, `dvc repro -f summarize` records that"
        )
    print(f"verify: {args.reports / 'metrics.json'} is the result of what is here")


def _recorded(reports: Path) -> dict:
    """The record. Raises ResultsError where there is none, or where it was changed."""
    report = read_json(reports / "metrics.json", "summarize")
    path = reports / PROVENANCE
    stated = report.get("provenance")
    if stated is None or not path.is_file():
        raise ResultsError(
            f"{path if stated is not None else reports / 'metrics.json'}: there is no record of "
            "what the result was made from: run `dvc repro -f summarize`"
        )
    if content_hash(path) != stated:
        raise ResultsError(
            f"{path} was changed after {reports / 'metrics.json'} was written: run "
            "`dvc repro -f summarize`"
        )
    return read_json(path, "summarize")


if __name__ == "__main__":
    run_stage(main)
