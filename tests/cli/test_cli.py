"""The command line as a person uses it, mistakes included."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from PIL import Image
from rich.text import Text

from burnish import Detector
from burnish.cli import doctor, main
from burnish.images.manifest import ManifestRow, write_manifest

SHORT = ["--preset", "tiny", "--set", "image_size=32", "--set", "mask_blocks=8,16", "--set",
         "width=32", "--set", "disc_width=32", "--set", "batch=4"]  # fmt: skip


def best_of_three(command: list[str]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def test_help_comes_without_heavy_imports() -> None:
    code = "import sys; sys.argv = ['burnish', '--help']\nfrom burnish.cli.main import run\n" + (
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'PIL', 'pydantic'}\n"
        "sys.exit(f'loaded {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help_shows_every_word_of_its_texts() -> None:
    """Square brackets are markup there: a text with "[default: 100]" lost it."""

    def shown(command: Any) -> list[str]:
        texts = [command.help or "", *(getattr(p, "help", None) or "" for p in command.params)]
        below = getattr(command, "commands", {}).values()
        return texts + [text for each in below for text in shown(each)]

    texts = shown(typer.main.get_command(main.app))
    assert len(texts) > 100
    assert [text for text in texts if Text.from_markup(text).plain != text] == []


def test_import_burnish_loads_no_torch() -> None:
    code = "import sys, burnish; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_train_evaluate_inspect_info(burnish, metal: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, _, err = burnish("train", metal, "--out", out, *SHORT, "--epochs", 2, "--seed", 3)
    assert code == 0, err
    assert {"model.safetensors", "losses.csv", "settings.json"} <= {p.name for p in out.iterdir()}
    assert len(list(csv.DictReader((out / "losses.csv").open()))) == 2

    code, text, err = burnish("evaluate", out, metal)
    assert code == 0, err
    assert "image AUROC" in text
    assert "scratch" in text
    saved = json.loads((out / "evaluation" / "evaluation.json").read_text())
    assert saved["n_good"] == 6
    assert saved["n_defect"] == 10
    page = (out / "evaluation" / "report.html").read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")

    code, text, _ = burnish("evaluate", out, metal, "--json", "--false-alarms", 0.2)
    again = json.loads(text)
    assert again["image_auroc"] == saved["image_auroc"]
    assert again["false_alarm_rate_wanted"] == 0.2

    code, text, _ = burnish("info", out, "--json")
    card = json.loads(text)
    assert card["settings"]["seed"] == 3
    assert card["settings"]["epochs"] == 2
    assert card["data"]["training_images"] + card["data"]["held_out_images"] == 24
    code, text, _ = burnish("info", out / "model.safetensors")
    assert code == 0
    assert "held out" in text


def test_inspect_exit_codes_and_formats(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    detector = Detector.load(run_folder)
    files = sorted((metal / "test").rglob("*.png"))
    results = {str(f): detector.inspect(f) for f in files}
    good = [f for f, r in results.items() if not r.is_defect]
    assert good
    code, text, _ = burnish("inspect", run_folder, *good)
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()] == ["good"] * len(good)

    # a wanted false-alarm rate of 99 % calls nearly everything defective
    code, text, _ = burnish("inspect", run_folder, metal / "test", "--false-alarms", 0.99, "--json")
    rows = json.loads(text)
    assert code == 1
    assert [r["path"] for r in rows] == [str(f) for f in files]
    for row in rows:
        assert row["score"] == results[row["path"]].score
        assert row["is_defect"] == (row["score"] > row["threshold"])

    code, text, _ = burnish("inspect", run_folder, f"{metal}/test/*/000.png", "--csv")
    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == 6  # good and five kinds
    assert all(float(r["p_value"]) == results[r["path"]].p_value for r in table)

    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(files[0]).read_bytes()[:200])
    code, text, err = burnish("inspect", run_folder, broken, good[0], tmp_path / "none.png")
    assert code == 2
    assert "broken.png" in err
    assert "none.png" in err
    assert good[0] in text  # the rest still went on


def test_heatmaps_are_written_under_their_own_names(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    burnish("inspect", run_folder, metal / "test", "--heatmaps", tmp_path / "heat")
    names = {str(p.relative_to(tmp_path / "heat")) for p in (tmp_path / "heat").rglob("*.png")}
    wanted = {
        f"{p.relative_to(metal / 'test')}.heatmap.png" for p in (metal / "test").rglob("*.png")
    }
    assert names == wanted
    assert Image.open(tmp_path / "heat" / min(names)).size[0] >= 560


def test_heatmaps_that_cannot_be_written_cost_no_verdict(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    files = sorted((metal / "test/scratch").glob("*.png"))[:2]
    (tmp_path / "file").touch()
    code, text, err = burnish("inspect", run_folder, *files, "--heatmaps", tmp_path / "file")
    assert (code, text) == (2, "")  # told before anything is judged
    assert "cannot write" in err
    # A folder stands where the second picture is to go: it is met only when that is written.
    (tmp_path / "heat" / f"{files[1].name}.heatmap.png").mkdir(parents=True)
    code, text, err = burnish(
        "inspect", run_folder, *files, "--json", "--heatmaps", tmp_path / "heat"
    )
    assert code == 2
    assert "cannot write" in err
    assert [row["verdict"] for row in json.loads(text)] == [
        Detector.load(run_folder).inspect(file).verdict for file in files
    ]


def test_what_could_not_be_judged_is_in_the_rows_and_counted(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    good = next((metal / "test/good").glob("*.png"))
    folder = tmp_path / "parts"
    folder.mkdir()
    shutil.copy(good, folder / "a.png")
    (folder / "b.png").symlink_to(tmp_path / "gone.png")
    code, text, _ = burnish("inspect", run_folder, folder, f"{tmp_path}/none*.png", "--json")
    assert code == 2
    rows = {Path(row["path"]).name: row for row in json.loads(text)}
    assert {name: row["verdict"] == "error" for name, row in rows.items()} == {
        "none*.png": True, "a.png": False, "b.png": True,
    }  # fmt: skip
    assert "nothing matches" in rows["none*.png"]["error"]
    code, _, err = burnish("inspect", run_folder, folder, f"{tmp_path}/none*.png")
    defects = int(rows["a.png"]["verdict"] == "defect")
    assert f"2 images: {1 - defects} good, {defects} defective, 1 not read" in err


def test_a_data_set_is_inspected_without_its_masks(burnish, run_folder: Path, metal: Path) -> None:
    assert list((metal / "ground_truth").rglob("*.png"))
    _, text, _ = burnish("inspect", run_folder, metal, "--json")
    paths = [row["path"] for row in json.loads(text)]
    assert paths
    assert not [path for path in paths if "ground_truth" in path]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "nowhere"], "no such folder: nowhere"),
        (["train", "DATA", "--preset", "smal"], "Did you mean 'small'?"),
        (["train", "DATA", "--set", "learningrate=1"], "Did you mean 'learning_rate'?"),
        (["train", "DATA", "--set", "patch"], "key=value"),
        (["train", "DATA", "--set", "width=abc"], "width"),
        (["train", "DATA", "--set", "patch=7"], "not a multiple"),
        (["train", "DATA", "--preset", "paper", "--set", "image_size=32"], "mask_blocks"),
        (["train", "DATA", "--part", "("], "regular expression"),
        (["inspect", "nowhere.safetensors", "DATA/test"], "no such model"),
        (["inspect", "DATA", "DATA/test"], "no such model"),
        (["evaluate", "DATA", "nowhere"], "no such folder"),
        (["info", "nowhere"], "no such model"),
        (["presets", "papper"], "Did you mean 'paper'?"),
    ],
)
def test_mistakes_are_told_in_one_line(
    burnish, metal: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    given = [a.replace("DATA", str(metal)) for a in arguments]
    if given[0] == "train":
        given += ["--out", str(tmp_path / "out")]
    code, _, err = burnish(*given)
    assert code == 2
    assert told in err.replace("\n", " ")
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def good_folder(folder: Path, count: int, mode: str = "L") -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(90, 160, (40, 40 + 8 * (index % 2)), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{index}.png")
    return folder


def test_empty_and_too_small_folders(burnish, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    code, _, err = burnish("train", tmp_path / "empty", "--out", out, *SHORT)
    assert (code, "holds 0 images" in err) == (2, True)
    code, _, err = burnish("train", good_folder(tmp_path / "few", 3), "--out", out, *SHORT)
    assert (code, "holds 3 images" in err, "at least 8" in err) == (2, True, True)


def test_dirty_folder_still_trains_and_says_what_was_skipped(burnish, tmp_path: Path) -> None:
    """Mixed sizes, a corrupt file, a text file named .png, 16 bits and RGBA."""
    data = good_folder(tmp_path / "dirty", 12)
    (data / "text.png").write_text("not an image")
    (data / "cut.png").write_bytes((data / "0.png").read_bytes()[:-60])
    deep = np.full((40, 40), 30_000, np.uint16)
    Image.fromarray(deep).save(data / "deep.png")
    Image.new("RGBA", (40, 40), (120, 120, 120, 10)).save(data / "alpha.png")
    out = tmp_path / "out"
    code, _, err = burnish("train", data, "--out", out, *SHORT, "--epochs", 1)
    assert code == 0, err
    assert "skipped" in err
    detector = Detector.load(out)
    assert len(detector.card.data["skipped"]) == 2
    assert detector.card.data["training_images"] + detector.card.data["held_out_images"] == 14
    assert detector.inspect(data / "deep.png").image.dtype == np.uint8


def test_a_finished_run_is_not_overwritten_unasked(burnish, metal: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train = ("train", metal, "--out", out, *SHORT, "--epochs", 1)
    assert burnish(*train)[0] == 0
    before = (out / "model.safetensors").read_bytes()
    code, _, err = burnish(*train)
    assert code == 2
    assert "--overwrite" in err
    assert (out / "model.safetensors").read_bytes() == before
    code, _, err = burnish(*train, "--resume", "--set", "width=64")
    assert code == 2
    assert "width was 32, is 64" in err
    (out / "evaluation").mkdir()
    (out / "model.onnx").touch()
    code, _, err = burnish(*train, "--overwrite", "--seed", 1)
    assert code == 0
    assert "model.onnx, evaluation/ in" in err.replace("\n", " ")
    assert "make them anew" in err.replace("\n", " ")


def test_the_old_model_stays_until_the_new_one_is_whole(
    burnish, metal: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train = ("train", metal, "--out", out, *SHORT, "--epochs", 1)
    assert burnish(*train)[0] == 0
    before = (out / "model.safetensors").read_bytes()
    (tmp_path / "empty").mkdir()
    code, _, err = burnish(*train, "--overwrite", "--set", "weight_l1=1e38")  # it diverges
    assert code == 2, err
    assert (out / "model.safetensors").read_bytes() == before
    (out / "checkpoint.safetensors").unlink(missing_ok=True)
    code, _, err = burnish(*train, "--resume")
    assert code == 2
    assert "no checkpoint.safetensors to go on from" in err.replace("\n", " ")
    assert (out / "model.safetensors").read_bytes() == before


def test_a_resumed_run_holds_out_the_same_parts(burnish, metal: Path, tmp_path: Path) -> None:
    """A manifest written in between would have images judged that were learnt from."""
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(metal, data)
    (data / "manifest.csv").unlink(missing_ok=True)
    train = ("train", data, "--out", out, *SHORT, "--epochs", 1)
    assert burnish(*train)[0] == 0
    names = sorted(path.name for path in (data / "train/good").iterdir())
    write_manifest(data, [
        ManifestRow(f"train/good/{name}", "", "train", "good", "good", "", f"part {i // 4}", name,
                    64, 64)
        for i, name in enumerate(names)
    ])  # fmt: skip
    code, _, err = burnish(*train, "--resume")
    assert code == 2
    assert "other images are held out" in err.replace("\n", " ")


def test_a_holdout_that_leaves_one_image_to_learn_from(burnish, tmp_path: Path) -> None:
    data = good_folder(tmp_path / "few", 8)
    code, _, err = burnish(
        "train", data, "--out", tmp_path / "run", "--preset", "tiny", "--epochs", 1,
        "--set", "holdout=0.8", "--set", "batch=1",
    )  # fmt: skip
    assert code == 2
    assert "leaves 1 to learn from" in err.replace("\n", " ")


def test_a_pattern_for_parts_that_does_not_fit(burnish, metal: Path, tmp_path: Path) -> None:
    train = ("train", metal, "--out", tmp_path / "run", *SHORT, "--epochs", 1)
    code, _, err = burnish(*train, "--part", r"camera(\d)")
    assert code == 2
    assert "is found in none of the" in err.replace("\n", " ")
    assert burnish("data", "check", metal, "--part", r"camera(\d)")[0] == 2
    code, _, err = burnish(*train, "--part", r"0[01](\d)")  # 24 images: it fits 20
    assert code == 0, err
    assert "does not fit 4 of 24 file names" in err.replace("\n", " ")


def test_copies_on_both_sides_of_the_hold_out_are_told(burnish, tmp_path: Path) -> None:
    data = good_folder(tmp_path / "good", 8)
    for index in range(8):
        shutil.copy(data / f"{index}.png", data / f"{index}_again.png")
    train = ("train", data, "--out", tmp_path / "run", *SHORT, "--epochs", 1)
    code, _, err = burnish(*train, "--set", "batch=2")
    assert code == 0, err
    assert "held-out images are copies of ones learnt from" in err.replace("\n", " ")
    assert " = " in err
    code, _, err = burnish(*train, "--overwrite", "--set", "batch=2", "--part", r"^(\d)")
    assert code == 0, err
    assert "copies of ones" not in err.replace("\n", " ")  # a part and its copy lie on one side


def test_a_tile_far_larger_than_the_images(burnish, metal: Path, tmp_path: Path) -> None:
    code, _, err = burnish(
        "train", metal, "--out", tmp_path / "run", "--preset", "tiny", "--tile", 4096
    )
    assert code == 2
    assert "at least twice as large as the largest image (64 x 64 px)" in err.replace("\n", " ")


def test_resume_goes_on_to_more_epochs(burnish, metal: Path, tmp_path: Path) -> None:
    for name, steps in (("once", ["2"]), ("twice", ["1", "2"])):
        for epochs in steps:
            more = ["--set", "schedule=constant", "--epochs", epochs, "--resume"]
            code, _, err = burnish("train", metal, "--out", tmp_path / name, *SHORT, *more)
            assert code == 0, err
    scores = [
        Detector.load(tmp_path / name).inspect(metal / "test/good/000.png").score
        for name in ("once", "twice")
    ]
    assert scores[0] == scores[1]


def test_read_only_output_folder(burnish, metal: Path) -> None:
    code, _, err = burnish("train", metal, "--out", "/proc/burnish", *SHORT)  # root cannot either
    assert code == 2
    assert "cannot write" in err


def test_model_cut_in_half(burnish, run_folder: Path, metal: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    whole = (run_folder / "model.safetensors").read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    code, _, err = burnish("inspect", half, metal / "test")
    assert code == 2
    assert "damaged" in err


def test_unreadable_test_images_are_named(burnish, run_folder: Path, metal: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(metal, data)
    (data / "test" / "good" / "bad.png").write_text("nothing")
    code, _, err = burnish("evaluate", run_folder, data, "--report", tmp_path / "report")
    assert code == 0
    assert "bad.png" in err


def test_presets_and_doctor(burnish) -> None:
    code, text, _ = burnish("presets")
    assert code == 0
    assert all(name in text for name in ("paper", "small", "tiny"))
    code, text, _ = burnish("presets", "small")
    assert "pip install 'burnish[features]'" in " ".join(text.split())
    assert code == 0
    assert "tome_r" in text
    code, text, _ = burnish("doctor", "--json")
    facts = json.loads(text)
    assert code == 0
    assert facts["libraries"]["torch"]
    assert facts["cpu_cores"] >= 1
    assert "free" in burnish("doctor")[1]


def test_doctor_tells_how_to_get_every_extra(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are markup to rich, which would swallow the name of the extra."""
    report = doctor.examine()
    report["optional"] = dict.fromkeys(report["optional"])
    doctor._show(report)
    text = " ".join(capsys.readouterr().out.split())
    for extra in ("tensorboard", "export", "features"):
        assert f"pip install 'burnish[{extra}]'" in text


def test_resume_with_other_scoring_calibrates_anew_without_training(
    burnish, metal: Path, tmp_path: Path
) -> None:
    direct = ("train", metal, *SHORT, "--epochs", 1, "--set", "reduction=mean")
    assert burnish(*direct, "--out", tmp_path / "direct")[0] == 0
    out = ("--out", tmp_path / "changed")
    assert burnish("train", metal, *SHORT, "--epochs", 1, *out)[0] == 0
    log = (tmp_path / "changed" / "losses.csv").read_bytes()
    assert burnish(*direct, *out, "--resume")[0] == 0
    assert (tmp_path / "changed" / "losses.csv").read_bytes() == log
    cards = [Detector.load(tmp_path / name).card for name in ("direct", "changed")]
    assert cards[0].calibration == cards[1].calibration
    assert cards[0].settings == cards[1].settings


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_no_verdict() -> None:
    """1 would say that a part is defective: a full disk, and a reader that left, end with 2."""
    command = [sys.executable, "-c", "from burnish.cli.main import run; run()", "presets", "small"]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert left.returncode == 2
    assert left.stderr == ""


def test_a_fault_of_burnish_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "app", lambda: 1 // 0)
    with pytest.raises(SystemExit) as left:
        main.run()
    assert left.value.code == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_too_few_parts_for_a_wanted_rate_are_told(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    held = len(Detector.load(run_folder).card.calibration.scores)
    best = f"{held} held-out good images can promise at most {100 / (held + 1):.2g} % false alarms"
    picture = next((metal / "test/good").glob("*.png"))
    _, _, err = burnish("inspect", run_folder, picture, "--false-alarms", 0.0001)
    assert best in err
    report = ["--report", tmp_path / "e"]
    _, _, err = burnish("evaluate", run_folder, metal, "--false-alarms", 0.0001, *report)
    assert best in err
    _, _, err = burnish("inspect", run_folder, picture, "--false-alarms", 0.5)
    assert "at most 50 % of good parts" in err
    _, _, err = burnish("inspect", run_folder, picture)
    assert "promise" not in err


def test_what_lies_where_a_model_was_expected_is_told(burnish, metal: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    picture = next((metal / "test/good").glob("*.png"))
    code, _, err = burnish("inspect", tmp_path, picture)
    assert code == 2
    assert "holds an unfinished training" in err
    code, _, err = burnish("info", metal / "test/good")
    assert code == 2
    assert "holds images: the model comes first" in err
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").write_bytes(b"")
    for command, images in (("inspect", metal / "test/good"), ("evaluate", metal)):
        code, _, err = burnish(command, images, run)  # the other way round
        assert code == 2
        assert "it holds a model: the model comes first, then the images" in err
    code, _, err = burnish("info", metal / "test/good/m.safetensors")  # a slip of another kind
    assert code == 2
    assert err.strip().endswith("no such model: " + str(metal / "test/good/m.safetensors"))


def test_a_run_stopped_while_calibrating_goes_on(
    burnish, metal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    command = ["train", metal, "--out", tmp_path / "run", *SHORT, "--set", "steps=2"]
    with monkeypatch.context() as patch:
        patch.setattr("burnish.detection.train.learn_all", stopped)
        code, _, err = burnish(*command)
    assert code == 130
    assert "the same command with --resume goes on" in err
    code, _, err = burnish(*command, "--resume")
    assert code == 0, err
    with monkeypatch.context() as patch:
        patch.setattr("burnish.detection.training_data.load_store", stopped)
        code, _, err = burnish(*command, "--overwrite")
    assert code == 130
    assert "--resume" not in err  # nothing of this run is saved yet


def test_a_log_tells_how_far_calibration_is(
    burnish, metal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.cli.progress.LOG_EVERY", 0.0)
    command = ["train", metal, "--out", tmp_path / "run", *SHORT, "--set", "steps=2"]
    _, _, err = burnish(*command)
    shares = [line.split()[1] for line in err.splitlines() if line.startswith("calibrate")]
    assert len(shares) > 10
    assert shares == sorted(shares, key=int)
    assert shares[-1] == "100"


def test_notes_name_their_image(burnish, run_folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (300, 40)).save(tmp_path / name)
    _, _, err = burnish("inspect", run_folder, tmp_path)
    for name in ("a.png", "b.png"):
        assert f"note: {tmp_path / name}: the image is 300x40 px" in err
