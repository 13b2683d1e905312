"""`burnish data cache` as a person uses it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from burnish.configuration import make_settings
from burnish.images.store import load_store

VERB = ("data", "cache")


@pytest.fixture
def call(burnish: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable:
    """The command line with a cache of its own."""
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    return burnish


def fill(folder: Path, count: int):
    folder.mkdir()
    for i in range(count):
        Image.new("L", (64, 64), i % 256).save(folder / f"{i:03d}.png")
    return load_store(sorted(folder.iterdir()), make_settings("tiny", {"image_size": 64}), 1)


def test_an_empty_cache_is_shown_and_cleared_and_not_made(call, tmp_path: Path) -> None:
    assert call() == (0, f"{tmp_path / 'cache'}: 0 entries, 0.00 of 20 GB\n", "")
    assert call("--clear") == (0, f"removed 0 entries (0.0 MB) from {tmp_path / 'cache'}\n", "")
    assert not (tmp_path / "cache").exists()


def test_list_and_clear(call, tmp_path: Path) -> None:
    first = fill(tmp_path / "bolts", 300)
    fill(tmp_path / "rails", 12)
    stranger = tmp_path / "cache" / "mine.txt"
    stranger.write_text("not of the cache")
    code, out, _ = call()
    assert code == 0
    head, _, newest, oldest = out.rstrip().splitlines()
    assert head == f"{tmp_path / 'cache'}: 2 entries, 0.00 of 20 GB"
    assert re.search(
        rf"^ +12 +0\.1 +\d{{4}}-\d\d-\d\d \d\d:\d\d +{tmp_path / 'rails'}$", newest.rstrip()
    )
    assert re.search(
        rf"^ +300 +1\.\d +in use +{tmp_path / 'bolts'}$", oldest.rstrip()
    )  # 300 * 64 * 64
    code, out, _ = call("--clear")
    assert code == 0
    assert re.fullmatch(r"removed 1 entry \(0\.1 MB\) from \S+; 1 entry in use kept\n", out)
    assert (first[7] == 7).all()
    del first
    assert call("--clear")[1].startswith("removed 1 entry (1.")
    assert "0 entries" in call()[1]
    assert stranger.exists()


def test_an_unfinished_build_is_listed(call, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    fill(tmp_path / "bolts", 3)
    call("--clear")
    paths = sorted((tmp_path / "bolts").iterdir())
    with pytest.raises(KeyboardInterrupt):
        load_store(paths, make_settings("tiny"), 1, stop)
    assert "not finished" in call()[1]


def test_wrong_environment_variables_are_refused(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", "lots")
    code, _, err = call()
    assert (code, err) == (
        2, "burnish: BURNISH_CACHE_GB is 'lots'; a number of gigabytes above 0 is wanted, as in "
        "BURNISH_CACHE_GB=20\n",
    )  # fmt: skip
    monkeypatch.delenv("BURNISH_CACHE_GB")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "file"))
    code, _, err = call()
    assert code == 2
    assert f"cannot look into the cache {tmp_path / 'file'}" in err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['burnish', 'data', 'cache', '--help']\n"
        "from burnish.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'filelock'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert "BURNISH_CACHE_GB" in done.stdout
