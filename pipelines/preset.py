"""Put a preset in place of params.yaml; an edited params.yaml is never overwritten."""

import argparse
from pathlib import Path

from foundation.atomic_files import write_text
from foundation.did_you_mean import nearest_name
from pipelines.console.command import run_stage
from pipelines.params import load_params
from pipelines.settings.yaml_file import DEFAULT_PATH

FOLDER = Path("presets")


def known_presets() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def apply_preset(name: str, target: Path = Path(DEFAULT_PATH)) -> bool:
    """Copy presets/NAME.yaml over an unedited params.yaml; False if it is in place already.

    Raises ValueError for an unknown name or an edited target.
    """
    names = known_presets()
    if name not in names:
        raise ValueError(f"there is no preset {name!r}{nearest_name(name, names)}")
    source = FOLDER / f"{name}.yaml"
    load_params(source)
    if target.exists():
        present = target.read_bytes()
        if present == source.read_bytes():
            return False
        if not any(present == (FOLDER / f"{other}.yaml").read_bytes() for other in names):
            raise ValueError(
                f"{target} has been edited: move it away (mv {target} my_params.yaml) before "
                f"putting preset {name} in its place"
            )
    write_text(target, source.read_text(encoding="utf-8"))
    return True


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("name", help=f"one of {', '.join(known_presets())}")
    name = arguments.parse_args().name
    print(f"preset: {name} {'put in place' if apply_preset(name) else 'is in place already'}")


if __name__ == "__main__":
    run_stage(main)
