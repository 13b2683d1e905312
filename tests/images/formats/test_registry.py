"""Guessing the format, and formats of other packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from burnish.errors import BurnishError
from burnish.images import formats as registry
from burnish.images.archives.archive import Source, open_source
from burnish.images.formats import format_named, formats, guess, register
from burnish.images.formats.base import Item, Options
from burnish.images.manifest import read_manifest
from burnish.images.preparing.prepare import Request, prepare

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

THIRD_PARTY = """
from functools import partial
from burnish.images.formats.base import Item

class Letters:
    name = "letters"
    summary = "files that begin with g are good"

    def fits(self, source):
        return all(name[0] in "gb" for name in source.names())

    def items(self, source, options, note):
        for name in source.names():
            kind = "good" if name.startswith("g") else "bad"
            yield Item(name, name.split(".")[0], kind, "", partial(source.read, name))
"""


class Letters:
    """A user's own format: files that begin with g are good; the second letter is the part."""

    name = "letters"
    summary = "files that begin with g are good"

    def fits(self, source: Source) -> bool:
        return all(name[0] in "gb" for name in source.names())

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        for name in source.names():
            kind = "good" if name.startswith("g") else "bad"
            yield Item(name, name.split(".")[0], kind, name[1], partial(source.read, name))
        note("letters were read")


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    register(Letters())


def test_a_users_format_is_used_like_any_other(
    letters: None, tree: Callable, picture: Callable, tmp_path: Path
) -> None:
    files = {f"{kind}{part}{n}.png": picture(ord(part) * 9 + n + ord(kind) * 999)
             for kind, part in ("gA", "gB", "gC", "gD", "bE") for n in range(3)}  # fmt: skip
    prepared = prepare(tree(files), tmp_path / "out", Request(train=0.5))
    assert (prepared.format, prepared.train, prepared.test) == ("letters", 6, {"bad": 3, "good": 6})
    assert "letters were read" in prepared.notes
    rows = read_manifest(tmp_path / "out")
    assert rows is not None
    assert {row.part for row in rows} == set("ABCDE")
    assert prepared.parts == {"train": 2, "test": 3, "both": 0}


def test_a_format_of_another_package_joins_by_entry_point(tmp_path: Path) -> None:
    (tmp_path / "letters_format.py").write_text(THIRD_PARTY)
    info = tmp_path / "letters_format-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters-format\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[burnish.formats]\nletters = letters_format:Letters\nbroken = no_such_module:Format\n"
    )
    code = (
        f"import sys, warnings; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from burnish.images.formats import formats\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    print(formats()['letters'].summary, len(formats()))\n"
        "assert 'broken' in str(said[0].message), said\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"files that begin with g are good {len(formats()) + 1}"


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(BurnishError, match=r"no format 'kolektr'.*Did you mean 'kolektor'"):
        format_named("kolektr")
    for name, format in formats().items():
        assert format.name == name
        assert format.summary


@pytest.mark.parametrize(
    ("archive", "name"),
    [("KolektorSDD.zip", "kolektor"), ("MagneticTile.zip", "magnetic-tile"),
     ("RailHead.zip", "mvtec"), ("screw.zip", "mvtec")],
)  # fmt: skip
def test_the_real_archives_are_recognised(archive: str, name: str) -> None:
    if not (DATA / archive).exists():
        pytest.skip(f"{DATA / archive} is not there")
    with open_source(DATA / archive) as source:
        assert guess(source).name == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("good/1.png", "scratch/2.png"), "folder"),
        (("x/good/1.png", "x/bad/2.png"), "folder"),
        (("01/train/ok/1.bmp", "01/test/ko/2.bmp"), "btad"),
        (("candle/Data/Images/Normal/1.JPG",), "visa"),
        (("train/10000.png", "train/10000_GT.png", "test/20000.png"), "kolektor2"),
        (("I/Rail surface images/rail_1.jpg", "I/GroundTruth/rail_1.jpg"), "rsdd"),
        (("images/train/1.jpg", "labels/train/1.txt"), "yolo"),
    ],
)
def test_each_layout_fits_one_format(tree: Callable, picture: Callable, files: tuple, name: str
                                     ) -> None:  # fmt: skip
    root = tree({f: "" if f.endswith(".txt") else picture(i) for i, f in enumerate(files)})
    with open_source(root) as source:
        assert guess(source).name == name


def test_tables_are_guessed_by_their_columns(tree: Callable, picture: Callable) -> None:
    root = tree({"a.csv": "path,label\nx.png,ok\n", "x.png": picture(1)})
    with open_source(root) as source:
        assert guess(source).name == "csv"
    root = tree({"a.csv": "ImageId,ClassId,EncodedPixels\n"})
    with open_source(root) as source:
        assert guess(source).name == "severstal"
    root = tree({"a.csv": "", "c.json": '{"images": [], "annotations": [], "categories": []}'})
    with open_source(root) as source:
        assert guess(source).name == "coco"


@pytest.mark.parametrize(
    ("files", "said"),
    [({}, "the defective ones$"), ({"readme.txt": b"hi"}, "if readme.txt says which are good")],
)
def test_a_plain_folder_is_told_from_an_unknown_layout(
    tree: Callable, picture: Callable, files: dict[str, bytes], said: str
) -> None:
    root = tree({"1.png": picture(1), "2.png": picture(2), **files})
    with (
        open_source(root) as source,
        pytest.raises(BurnishError, match=f"is a plain folder of images: .*{said}"),
    ):
        guess(source)


def test_none_or_several_fitting_formats_are_an_error(tree: Callable, picture: Callable) -> None:
    root = tree({"holiday/beach.png": picture(1)})
    with (
        open_source(root) as source,
        pytest.raises(BurnishError, match=r"looks like none of the formats .*--from"),
    ):
        guess(source)
    root = tree({"train/good/1.png": picture(1), "kos01/Part0.jpg": picture(2)})
    with (
        open_source(root) as source,
        pytest.raises(BurnishError, match="fits the formats mvtec, kolektor: choose one with"),
    ):
        guess(source)


def test_a_prepared_set_is_mvtec_in_spite_of_its_manifest(
    tree: Callable[[dict], Path], picture: Callable[..., object], tmp_path: Path
) -> None:
    files = {f"good/{i}.png": picture(i) for i in range(4)} | {"scratch/a.png": picture(9)}
    out = tmp_path / "prepared"
    prepare(tree(files), out, Request(format="folder"))
    assert (out / "manifest.csv").is_file()
    with open_source(out) as source:
        assert guess(source).name == "mvtec"
