#!/usr/bin/env python3
"""Checks the contents of an APK of the demo, from either build.

The bundle is whole and every file has the checksum that bundle.json states; every native library
can be loaded where memory pages are 16 KB, as new phones have; classes and resources are there;
nothing else is packed that should not be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

PAGE = 16384
"""Bytes; every loadable segment of a library must be aligned to this or more."""

_LOAD = 1
"""Type of a segment that the linker maps into memory: PT_LOAD."""
_FORBIDDEN = (".java", ".kt", ".p12", ".jks", ".pem", ".json.part")


def segment_alignments(library: bytes) -> list[int]:
    """Alignments in bytes of the loadable segments of an ELF file, 32 or 64 bits, little-endian.

    Raises:
        ValueError: it is no such file.
    """
    if library[:4] != b"\x7fELF" or len(library) < 64 or library[5] != 1:
        raise ValueError("no little-endian ELF file")
    wide = library[4] == 2
    try:
        (table,) = struct.unpack_from("<Q" if wide else "<I", library, 32 if wide else 28)
        size, count = struct.unpack_from("<HH", library, 54 if wide else 42)
        alignments = []
        for i in range(count):
            at = table + i * size
            (kind,) = struct.unpack_from("<I", library, at)
            offset = at + (48 if wide else 28)
            (alignment,) = struct.unpack_from("<Q" if wide else "<I", library, offset)
            if kind == _LOAD:
                alignments.append(alignment)
    except struct.error as error:
        raise ValueError("its table of segments lies outside of the file") from error
    if not alignments:
        raise ValueError("it has no segment to load")
    return alignments


def faults_of_library(name: str, library: bytes) -> list[str]:
    """What keeps a library from being loaded where pages are 16 KB."""
    try:
        alignments = segment_alignments(library)
    except ValueError as error:
        return [f"{name}: {error}"]
    return [
        f"{name}: a segment is aligned to {alignment} bytes, 16 KB pages need {PAGE}"
        for alignment in alignments
        if alignment < PAGE or alignment % PAGE
    ]


def bundle_faults(apk: zipfile.ZipFile, folder: str) -> list[str]:
    """What is wrong with the bundle in a folder of an APK."""
    names = set(apk.namelist())
    if f"{folder}/bundle.json" not in names:
        return [f"{folder} has no bundle.json"]
    faults = []
    try:
        stages = json.loads(apk.read(f"{folder}/bundle.json"))["stages"]
        wanted = {stage["file"]: stage["sha256"] for stage in stages.values()}
        wanted[stages["rec"]["charset_file"]] = stages["rec"]["charset_sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{folder}/bundle.json is not a manifest: {error}"]
    for file, digest in sorted(wanted.items()):
        name = f"{folder}/{file}"
        if name not in names:
            faults.append(f"{name} is missing")
        elif hashlib.sha256(apk.read(name)).hexdigest() != digest:
            faults.append(f"{name} has not the sha256 that bundle.json states")
    known = {f"{folder}/{file}" for file in (*wanted, "bundle.json")}
    faults += [
        f"{name} is not of the bundle"
        for name in sorted(names)
        if name.startswith(f"{folder}/") and name not in known
    ]
    return faults


def apk_faults(path: Path, *, most_bytes: int | None) -> list[str]:
    """What is wrong with an APK; nothing where it is as it must be.

    Args:
        path: of the APK.
        most_bytes: that the file may have; None for any number.
    """
    faults = []
    size = path.stat().st_size
    if most_bytes is not None and size > most_bytes:
        faults.append(f"it has {size} bytes, more than {most_bytes}")
    with zipfile.ZipFile(path) as apk:
        names = apk.namelist()
        needed = {"AndroidManifest.xml", "classes.dex", "resources.arsc"}
        faults += [f"{name} is missing" for name in sorted(needed - set(names))]
        compressed = {info.filename for info in apk.infolist() if info.compress_type}
        if "resources.arsc" in compressed:
            faults.append("resources.arsc is compressed; Android 11 refuses that")
        faults += bundle_faults(apk, "assets/bundle")
        for name in names:
            if name.startswith("lib/") and name.endswith(".so"):
                faults += faults_of_library(name, apk.read(name))
            if name.endswith(_FORBIDDEN):
                faults.append(f"{name} does not belong into an app")
    return faults


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("apk", type=Path)
    parser.add_argument("--most-bytes", type=int, default=None, help="default: any number")
    options = parser.parse_args(arguments)
    try:
        faults = apk_faults(options.apk, most_bytes=options.most_bytes)
    except (OSError, zipfile.BadZipFile) as error:
        faults = [str(error)]
    for fault in faults:
        print(f"{options.apk.name}: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
