"""The table of the study, from its rows."""

from pathlib import Path

from studies.tables import markdown, rows_by, spread

SHOWN = {"kid": ("KID", 4), "fd": ("FD", 3), "recall": ("recall", 3), "coverage": ("coverage", 3)}


def table(rows: Path) -> str:
    """Markdown: whole images, then bands, at each number of evaluations; mean and deviation."""
    found = rows_by(rows, "evaluations", "count", "warm_up")
    if not found:
        return f"no row stands in {rows}\n"
    floor = next(iter(found.values()))[0]["metrics"]
    lines = [
        ["real images (floor)", "", "", ""]
        + [f"{floor[name]['floor']:.{digits}f}" for name, (_, digits) in SHOWN.items()]
        + ["", ""]
    ]
    for evaluations, count, warm_up in sorted(found):
        same = found[evaluations, count, warm_up]
        metrics = [
            spread([row["metrics"][name]["value"] for row in same], digits)
            for name, (_, digits) in SHOWN.items()
        ]
        lines.append(
            [
                f"{count} displaced bands" if count > 1 else "whole images",
                str(evaluations),
                str(warm_up) if count > 1 else "",
                str(len(same)),
                *metrics,
                spread([row["rms_from_whole"] for row in same], 2) if count > 1 else "",
                spread([row["seam_ratio"] for row in same], 3) if count > 1 else "",
            ]
        )
    titles = [title for title, _ in SHOWN.values()]
    head = ["", "evaluations", "warm-up", "seeds", *titles, "RMS from whole", "seam ratio"]
    return markdown(head, lines)
