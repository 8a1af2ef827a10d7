"""Fetches emoji with their names, and captioned stamps, for the studies of latents and of words.

  python -m studies.emoji.install                 # emoji into .runs/studies/emoji
  python -m studies.emoji.install --stamps        # the stamps of Tux Paint as well

Emoji are the pictures of Twemoji (CC BY 4.0) in the npm package emoji-datasource-twitter, their
names those of emojibase-data (MIT). Stamps are those of Debian's package tuxpaint-stamps-default
(GPL-2). Neither is part of this project. Writes below --out:

  all/CATEGORY/NAME.png     every emoji, 64x64
  tones/TONE/NAME.png       those that have skin tones, without the pairs held out, and captions.csv
  held_out/TONE/NAME.png    the pairs of emoji and tone that no training sees
  words.json                {"train": [...], "held_out": [...]}: file, text, base, tone of each
  stamps/                   pictures with a .txt beside each
"""

import argparse
import csv
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from foundation.atomic_files import write_text
from studies.emoji.names import Emoji, emoji_of, hold_out

PICTURES, NAMES = "emoji-datasource-twitter@16.0.0", "emojibase-data@17.0.0"
STAMPS = "tuxpaint-stamps-default"
OUT = Path(".runs/studies/emoji")


class InstallError(Exception):
    """A package could not be fetched."""


def main(arguments: list[str] | None = None) -> None:
    """Fetch the packages, write the folders."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.emoji.install",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=OUT, metavar="FOLDER", help="default: %(default)s")
    add("--stamps", action="store_true", help="fetch the stamps too (161 MB; needs apt)")
    options = parser.parse_args(arguments)
    try:
        packages = options.out / "packages"
        pictures, names = (npm_package(spec, packages) for spec in (PICTURES, NAMES))
        with tarfile.open(pictures) as archive, tarfile.open(names) as other:
            emoji = emoji_of(_json(archive, "emoji.json"), _json(other, "en/data.json"))
            write_emoji(archive, emoji, options.out)
        if options.stamps:
            print(f"stamps: {debian_stamps(packages, options.out / 'stamps')} pictures")
    except (InstallError, OSError, KeyError, tarfile.TarError) as error:
        parser.error(str(error))


def npm_package(spec: str, folder: Path) -> Path:
    """The archive of `name@version`, fetched into the folder unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.replace('@', '-')}.tgz"
    if not path.is_file():
        _run(["npm", "pack", spec, "--silent", "--pack-destination", str(folder)], "npm (Node.js)")
    return path


def write_emoji(archive: tarfile.TarFile, emoji: list[Emoji], out: Path) -> None:
    """Write the three folders of pictures, their captions and words.json, which comes last."""
    for name in ("all", "tones", "held_out"):
        shutil.rmtree(out / name, ignore_errors=True)
    train, held_out = hold_out(emoji)
    places = {one.file: [f"all/{one.category}"] for one in emoji}
    for folder, some in (("tones", train), ("held_out", held_out)):
        for one in some:
            places[one.file].append(f"{folder}/{one.tone}")
    for member in archive:  # in the archive's order, for going back unpacks it anew
        folder, _, file = member.name.rpartition("/")
        if folder != "package/img/twitter/64" or file not in places:
            continue
        content = _content(archive, member)
        for folder in places.pop(file):
            (out / folder).mkdir(parents=True, exist_ok=True)
            (out / folder / file).write_bytes(content)
    if places:
        raise InstallError(f"{PICTURES} lacks {len(places)} pictures, such as {min(places)}")
    rows = [(f"{one.tone}/{one.file}", one.text) for one in train]
    text = io.StringIO()
    csv.writer(text).writerows([("file_name", "text"), *rows])
    write_text(out / "tones/captions.csv", text.getvalue())
    words = {"train": train, "held_out": held_out}
    plain = {side: [one.words() for one in some] for side, some in words.items()}
    write_text(out / "words.json", json.dumps(plain, indent=1) + "\n")
    print(
        f"emoji: {len(emoji):,} pictures in {out / 'all'}; with skin tones {len(train):,} in "
        f"{out / 'tones'} and {len(held_out):,} held out in {out / 'held_out'}"
    )


def debian_stamps(packages: Path, out: Path) -> int:
    """Unpack the pictures of Debian's stamps that have a caption; returns how many."""
    if not list(packages.glob(f"{STAMPS}_*.deb")):
        _run(["apt-get", "download", STAMPS], "Debian's apt-get", packages)
    unpacked = packages / STAMPS
    archive = max(packages.glob(f"{STAMPS}_*.deb"))
    _run(["dpkg-deb", "-x", str(archive), str(unpacked)], "Debian's dpkg-deb")
    source = unpacked / "usr/share/tuxpaint/stamps"
    shutil.rmtree(out, ignore_errors=True)
    count = 0
    for picture in sorted(source.rglob("*.png")):
        caption = picture.with_suffix(".txt")
        if not caption.is_file() or "letters" in picture.parts:
            continue
        place = out / picture.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place)
        shutil.copy(caption, place.with_suffix(".txt"))
        count += 1
    return count


def _run(command: list[str], program: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise InstallError(f"{command[0]} is not installed; this needs {program}") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise InstallError(f"{' '.join(command)}: {last}") from None


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None  # a regular file of the package
    return stream.read()


def _json(archive: tarfile.TarFile, name: str) -> list[dict]:
    return json.loads(_content(archive, archive.getmember(f"package/{name}")))


if __name__ == "__main__":
    main()
