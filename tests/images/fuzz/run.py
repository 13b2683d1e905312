"""Mutated image files and archives through the reader; run in a process of its own by test_fuzz.

    python tests/images/fuzz/run.py images|archives COUNT SEED

Prints one JSON object: how many were decoded and refused, the slowest in seconds of the processor,
and the least resident memory in MiB during each fifth of the run. Anything but a decoded image or a
BurnishError ends it with a traceback; so does a file that takes over 60 s. Then, or after a crash,
the culprit lies in the temporary folder as `burnish-fuzz-<what>-<seed>`. Each case depends on SEED
and its number alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from corpus import archive_corpus, image_corpus
from mutations import ARCHIVE_MUTATIONS, IMAGE_MUTATIONS, Rng, mutated, packed

from burnish.errors import BurnishError
from burnish.images.archives.archive import open_source
from burnish.images.reader import (
    read_header,
    read_header_bytes,
    read_image,
    read_image_bytes,
    suffix_of,
)

MEMORY = 6 << 30  # bytes of address space
HANG = 60  # s


def named(error: BurnishError) -> None:
    if "case" not in str(error):
        raise AssertionError(f"an error without the file's name: {error}")


def read_one_image(data: bytes, rng: Rng, folder: Path) -> bool:
    """Whether it was decoded; what the header said must then be so."""
    try:
        if rng.random() < 0.5:  # libtiff takes another way for files than for bytes
            path = folder / "case"
            path.write_bytes(data)
            image, header = read_image(path), read_header(path)
        else:
            image, header = read_image_bytes(data, "case"), read_header_bytes(data, "case")
    except BurnishError as error:
        named(error)
        return False
    assert image.dtype == np.uint8, image.dtype
    assert image.shape[:2] == (header.height, header.width), (image.shape, header)
    assert image.ndim == (2 if header.is_grey else 3), (image.shape, header)
    assert header.bits in (1, 8, 16, 32), header
    assert 1 <= header.pages <= 1000, header
    suffix_of(header.format)
    return True


def read_one_archive(data: bytes, folder: Path) -> bool:
    """Whether every member was read."""
    path = folder / "case"
    path.write_bytes(data)
    whole = True
    try:
        with open_source(path) as source:
            for name in source.names():
                assert not name.startswith(("/", ".")), name
                assert ".." not in Path(name).parts, name
                name.encode()
                try:
                    assert len(source.read(name)) == source.size(name)
                except BurnishError as error:
                    named(error)
                    whole = False
    except BurnishError as error:
        named(error)
        return False
    return whole


def resident() -> float:
    """MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(what: str, count: int, seed: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    images = image_corpus()
    archives = archive_corpus(images)
    case = Path(tempfile.gettempdir()) / f"burnish-fuzz-{what}-{seed}"  # the culprit, if any
    decoded, slowest, least = 0, (0.0, 0), [float("inf")] * 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(count):
            rng = np.random.default_rng([seed, index])
            if what == "images":
                data = mutated(images, IMAGE_MUTATIONS, rng)
            else:
                data = packed(mutated(archives, ARCHIVE_MUTATIONS, rng), rng)
            case.write_bytes(data)
            faulthandler.dump_traceback_later(HANG, exit=True)
            start = time.process_time()
            if what == "images":
                decoded += read_one_image(data, rng, folder)
            else:
                decoded += read_one_archive(data, folder)
            slowest = max(slowest, (time.process_time() - start, index))
            # The least: malloc keeps the memory of a large image until the next one.
            fifth = 5 * index // count
            least[fifth] = min(least[fifth], resident())
    faulthandler.cancel_dump_traceback_later()
    case.unlink()
    print(json.dumps({
        "decoded": decoded, "refused": count - decoded, "slowest": round(slowest[0], 2),
        "slowest_index": slowest[1], "resident": [round(mib, 1) for mib in least],
    }))  # fmt: skip


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
