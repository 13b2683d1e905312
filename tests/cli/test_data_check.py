"""`burnish data check` as a person and as a program use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

VERB = ("data", "check")


@pytest.fixture
def copied(metal: Path, tmp_path: Path) -> Path:
    """The synthetic metal set without its manifest, to be spoilt."""
    ignore = shutil.ignore_patterns("manifest.csv")
    return Path(shutil.copytree(metal, tmp_path / "metal", ignore=ignore))


def test_exit_code_and_words_follow_the_worst_finding(burnish, copied: Path) -> None:
    code, out, err = burnish(copied, "--false-alarms", 0.3)
    assert (code, "warning" in out) == (0, False), out
    assert "Nothing wrong was found in 40 images" in out
    shutil.copy(copied / "train/good/000.png", copied / "train/good/zz.png")
    code, out, err = burnish(copied, "--false-alarms", 0.3)
    assert code == 1
    assert "train/good/zz.png repeats train/good/000.png" in out
    assert "To be read with care: 1 warning in 41 images" in out
    assert "--page" in err
    (copied / "train/good/empty.png").write_bytes(b"")
    code, out, _ = burnish(copied, "--false-alarms", 0.3)
    assert code == 1
    assert "Not fit for use as it is: 1 error and 1 warning" in out
    assert out.index("Errors:") < out.index("Warnings:")


def test_json_is_complete_and_alone_on_stdout(burnish, copied: Path) -> None:
    for i in range(9):
        shutil.copy(copied / f"train/good/00{i}.png", copied / f"train/good/copy{i}.png")
    code, out, _ = burnish(copied, "--json")
    told = json.loads(out)
    assert code == 1
    assert told["clean"] is False
    assert told["images"] == told["read"] == 49
    assert told["counts"][0] == {"split": "train", "kind": "good", "images": 33, "parts": 0}
    duplicates = next(f for f in told["findings"] if f["code"] == "duplicates")
    assert len(duplicates["groups"]) == 9  # the text names five
    assert {entry["statistic"] for entry in told["statistics"]["shift"]} >= {"mean", "file_bytes"}
    assert told["asked"] == {"false_alarms": 0.01, "holdout": "auto"}


def test_parts_that_nobody_named_are_unknown(burnish, metal: Path, copied: Path) -> None:
    for root in (metal, copied):  # with a manifest, where each image is a part, and without
        _, out, _ = burnish(root, "--false-alarms", 0.3)
        rows = [line.split() for line in out.splitlines()[1:4]]
        assert rows[0] == ["train", "good", "24", "parts", "unknown"]
        assert "Which images show one part is not known" in out
    _, out, _ = burnish(copied, "--part", "^(.)", "--json")
    assert "unknown-parts" not in {f["code"] for f in json.loads(out)["findings"]}
    _, out, _ = burnish(copied, "--part", r"^(\d\d)")
    assert out.splitlines()[1].split() == ["train", "good", "24", "3", "parts"]


def test_asking_for_a_rate(burnish, copied: Path) -> None:
    _, out, _ = burnish(copied, "--json", "--false-alarms", 0.05)
    (finding,) = (f for f in json.loads(out)["findings"] if f["code"] == "too-few-for-rate")
    assert finding["figures"]["needed"] == 19
    _, out, _ = burnish(copied, "--json", "--false-alarms", 0.05, "--holdout", 0.8)
    assert "too-few-for-rate" not in {f["code"] for f in json.loads(out)["findings"]}


def test_a_page_that_cannot_be_written_is_told_before_the_pass(
    burnish, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("burnish.checks.check.check", looked_at)
    page = copied / "train" / "good" / "000.png" / "check.html"  # below a file
    code, out, err = burnish(copied, "--page", page)
    assert (code, out) == (2, "")
    assert f"cannot write {page}" in err


def test_a_page_is_written_beside_text_or_json(burnish, copied: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "check.html"
    code, out, err = burnish(copied, "--page", page)
    assert f"page: {page}" in err
    assert page.read_text().startswith("<!doctype html>")
    before = page.read_bytes()
    code, out, _ = burnish(copied, "--json", "--page", page)
    json.loads(out)
    assert code == 1
    assert len(page.read_bytes()) == len(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/nowhere"], "no such file or folder"),
        (["{tmp}"], "is empty: nothing to check"),
        (["{set}", "--false-alarms", "0"], "--false-alarms is a share above 0 and below 1, not 0"),
        (["{set}", "--holdout", "1.5"], "--holdout is a share above 0 and below 1, not 1.5"),
        (["{set}", "--part", "("], "'(' is not a regular expression"),
        (["{set}", "--from", "kolektr"], "Did you mean 'kolektor'?"),
        (["{set}", "--from", "kolektor"], "kosNN"),
        (["{set}", "--page", "{tmp}"], "is a folder; give the file"),
        (["{set}/train/good/000.png"], "000.png"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    burnish, metal: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = burnish(*(a.format(set=metal, tmp=tmp_path) for a in arguments))
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("burnish: ")
    assert err.count("\n") == 1


def test_a_truncated_archive(burnish, metal: Path, tmp_path: Path) -> None:
    whole = shutil.make_archive(str(tmp_path / "whole"), "zip", metal)
    assert burnish(whole, "--from", "mvtec")[0] in (0, 1)
    for name, share in (("half", 2), ("tail", 100)):
        data = Path(whole).read_bytes()
        (tmp_path / f"{name}.zip").write_bytes(data[: len(data) - len(data) // share])
        code, _, err = burnish(tmp_path / f"{name}.zip")
        assert code == 2
        assert f"{name}.zip" in err


def test_a_damaged_member_is_a_finding_not_the_end(burnish, copied: Path, tmp_path: Path) -> None:
    whole = Path(shutil.make_archive(str(tmp_path / "whole"), "zip", copied))
    data = bytearray(whole.read_bytes())
    at = data.index(b"train/good/005.png") + 400  # inside the first copy of its content
    data[at] ^= 0xFF
    whole.write_bytes(data)
    code, out, _ = burnish(whole, "--json")
    (finding,) = (f for f in json.loads(out)["findings"] if f["code"] == "unreadable")
    assert code == 1
    assert finding["images"] == ["train/good/005.png"]


def test_help_tells_the_exit_codes_without_loading_anything() -> None:
    code = (
        "import sys; sys.argv = ['burnish', 'data', 'check', '--help']\n"
        "from burnish.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'PIL', 'imagehash', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    words = " ".join(found.stdout.split())
    assert "0 nothing worse than notes, 1 warnings or errors, 2 could not be checked" in words


def test_torch_is_not_needed(metal: Path) -> None:
    code = (
        "import sys; sys.argv = ['burnish', 'data', 'check', sys.argv[1]]\n"
        "from burnish.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "sys.exit('loaded torch' if 'torch' in sys.modules else 0)"
    )
    command = [sys.executable, "-c", code, str(metal)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_set_with_a_manifest_is_held_to_it(burnish, metal: Path, tmp_path: Path) -> None:
    assert (metal / "manifest.csv").is_file()
    mine = shutil.copytree(metal, tmp_path / "mine")
    codes = {f["code"] for f in json.loads(burnish(mine, "--json")[1])["findings"]}
    assert "manifest" not in codes
    (mine / "train/good/000.png").unlink()
    found = {f["code"]: f for f in json.loads(burnish(mine, "--json")[1])["findings"]}
    assert found["manifest"]["figures"]["missing"] == ["train/good/000.png"]


def test_nothing_is_changed(burnish, copied: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in copied.rglob("*")}
    burnish(copied)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in copied.rglob("*")} == before


def test_a_reader_that_leaves_early(metal: Path, tmp_path: Path) -> None:
    """`burnish data check ... | head -1` ends quietly."""
    rng = np.random.default_rng(0)
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    burnish = "from burnish.cli.main import run; run()"
    command = f"{sys.executable} -c '{burnish}' data check {tmp_path} | head -1"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert found.stdout.count("\n") == 1
    assert "Traceback" not in found.stderr
