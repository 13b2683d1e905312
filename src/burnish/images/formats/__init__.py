"""The formats that `burnish data prepare` reads; `register` or entry points add others."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points

from burnish.errors import BurnishError, nearest
from burnish.images.archives.archive import Source
from burnish.images.formats.base import Format
from burnish.images.formats.coco import Coco
from burnish.images.formats.folder import Folder
from burnish.images.formats.kolektor import Kolektor, Kolektor2
from burnish.images.formats.magnetic_tile import MagneticTile
from burnish.images.formats.mvtec import Btad, Mpdd, Mvtec
from burnish.images.formats.names import is_image, some
from burnish.images.formats.rsdd import Rsdd
from burnish.images.formats.tables import Csv, Severstal
from burnish.images.formats.visa import Visa
from burnish.images.formats.yolo import Yolo

GROUP = "burnish.formats"

_registered: dict[str, Format] = {}


def register(format: Format) -> None:
    """Add a format, or replace the one of the same name."""
    _registered[format.name] = format


for _format in (
    Folder(),
    Mvtec(),
    Mpdd(),
    Btad(),
    Visa(),
    Kolektor(),
    Kolektor2(),
    MagneticTile(),
    Rsdd(),
    Severstal(),
    Yolo(),
    Coco(),
    Csv(),
):
    register(_format)


def formats() -> dict[str, Format]:
    """Every format by name: those of burnish, then those of other packages (entry points)."""
    found = dict(_registered)
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            format: Format = loaded() if isinstance(loaded, type) else loaded
            found.setdefault(format.name, format)
        except Exception as error:  # a fault of another package must not break this one
            warnings.warn(f"format '{point.name}' cannot be loaded: {error}", stacklevel=2)
    return found


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        BurnishError: there is none.
    """
    known = formats()
    if name not in known:
        raise BurnishError(
            f"no format '{name}': {', '.join(sorted(known))} are known." + nearest(name, known)
        )
    return known[name]


def guess(source: Source) -> Format:
    """The one format that the source looks like.

    Raises:
        BurnishError: none fits, or several do; names them.
    """
    names = source.names()
    if not any(is_image(name) for name in names):
        raise BurnishError(
            f"{source.path} holds no image; it " + (f"holds {some(names)}" if names else "is empty")
        )
    known = formats()
    fitting = [format for format in known.values() if format.fits(source)]
    if len(fitting) > 1:  # a data set's own layout says more than a folder "normal"
        fitting = [format for format in fitting if not isinstance(format, Folder)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        if not any("/" in name for name in names if is_image(name)):
            others = [name for name in names if not is_image(name)]
            table = f"; if {some(others)} says which are good, --from csv reads a table"
            raise BurnishError(
                f"{source.path} is a plain folder of images: if all show good parts, `burnish "
                "train` takes it as it is; `--from folder --good '*'` splits them, and --bad or "
                "--good with a pattern tells the defective ones" + (table if others else "")
            )
        raise BurnishError(
            f"{source.path} looks like none of the formats {', '.join(sorted(known))}: name one "
            "with --from (`burnish data formats` describes them); for a table of files, csv"
        )
    raise BurnishError(
        f"{source.path} fits the formats {', '.join(f.name for f in fitting)}: choose one with "
        "--from"
    )
