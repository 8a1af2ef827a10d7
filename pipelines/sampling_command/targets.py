"""Checks before anything is drawn that the asked files can be written, and writes them."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.pictures import sample_grid
from foundation.atomic_files import replacing
from foundation.counted import counted
from sampling.drawn_with import check_folder, png_text
from sampling.request import GenerationRequest

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
ANIMATED = (".gif", ".png", ".webp")


def check_files(args: argparse.Namespace) -> None:
    """Raise ValueError where the command line names nothing to write, or what cannot be written.

    It needs no weights; whether --out holds images of another generation, `check_folder` says.
    """
    view = view_of(args)
    if not (args.out or args.grid or args.npz or args.animation):
        also = ", --animation FILE.gif" if args.interpolate else ""
        single = "" if view else ", --out FOLDER"
        raise ValueError(f"say what to write: --grid FILE.png{single}{also} or --npz FILE.npz")
    if view and args.out:
        raise ValueError(f"{view} draws one sheet: name it by --grid FILE.png, in place of --out")
    if args.animation and not args.interpolate:
        raise ValueError("--animation shows an interpolation: give --interpolate A B too")
    for option, path, suffixes in (
        ("--grid", args.grid, PICTURES),
        ("--npz", args.npz, (".npz",)),
        ("--animation", args.animation, ANIMATED),
    ):
        if path:
            _check_file(option, path, suffixes)
    if args.out:
        if args.out.exists() and not args.out.is_dir():
            raise ValueError(f"--out {args.out} is a file: name a folder")
        _check_place("--out", args.out)


def view_of(args: argparse.Namespace) -> str | None:
    """The option that asks for a picture of how images come about; None: single images."""
    options = ("trajectory", "interpolate", "lengths")
    return next((f"--{name}" for name in options if getattr(args, name)), None)


def _check_file(option: str, path: Path, suffixes: Sequence[str]) -> None:
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder: name a file")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{option} {path}: name a file that ends in {' or '.join(suffixes)}")
    _check_place(option, path)


def _check_place(option: str, path: Path) -> None:
    """Raise ValueError unless `path` can be written; missing folders are made later."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if there != path and not there.is_dir():
        raise ValueError(f"{option} {path}: {there} is a file: name another folder")
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise ValueError(f"{option} {path}: {there} cannot be written to: name another place")


def check_out(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Raise ValueError where --out holds images that were not drawn with these facts."""
    if args.out:
        check_folder(args.out, facts)


def write_images(
    args: argparse.Namespace,
    images: np.ndarray,
    request: GenerationRequest,
    names: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Write the files that the command line asks for, and print where they are.

    names: of the classes, if the weights hold them. facts: what the images were drawn with.
    """
    labels, seeds = request.labels, request.indices
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for image, seed, label in zip(images, seeds, labels, strict=True):
            name = f"{seed:06d}.png" if label < 0 else f"{seed:06d}-class{label}.png"
            class_name = names[label] if 0 <= label < len(names) else ""
            picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
            with replacing(args.out / name) as temporary:
                picture.save(temporary, "PNG", pnginfo=png_text(facts, class_name))
        print(f"{counted(len(images), 'image')} in {args.out}/")
    if args.grid:
        _write_sheet(args.grid, sample_grid(images, labels=labels, label_names=names))
        print(f"{counted(len(images), 'image')} on {args.grid}")
    if args.npz:
        _write_arrays(args.npz, {"images": images, "labels": labels, "seeds": np.asarray(seeds)})


def write_view(args: argparse.Namespace, sheet: Image.Image, arrays: dict[str, np.ndarray]) -> None:
    """Write a sheet of named rows and columns, its arrays, or both, and print where they are."""
    if args.grid:
        _write_sheet(args.grid, sheet)
        rows, columns = arrays["images"].shape[:2]
        print(f"{counted(rows, 'row')} of {counted(columns, 'image')} on {args.grid}")
    if args.npz:
        _write_arrays(args.npz, arrays)


def _write_sheet(path: Path, sheet: Image.Image) -> None:
    """Write a sheet; the file's suffix says in which format."""
    with replacing(path) as temporary:
        sheet.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz and print what it holds."""
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    print(f"arrays {shapes} in {path}")


def write_animation(path: Path, frames: Sequence[Image.Image]) -> None:
    """Write frames as an endless animation, there and back; the ends rest longer."""
    order = [*frames, *frames[-2:0:-1]]
    durations = [600 if frame in (frames[0], frames[-1]) else 120 for frame in order]
    with replacing(path) as temporary:
        order[0].save(
            temporary,
            format=Image.registered_extensions()[path.suffix.lower()],
            save_all=True,
            append_images=order[1:],
            duration=durations,
            loop=0,
        )
    print(f"{len(order)} frames in {path}")
