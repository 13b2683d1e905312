"""The gate: what judges differently is not written, and the image is named."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from burnish import BurnishError, Detector
from burnish.export import export, write
from burnish.export.export import export_model
from burnish.export.graph import InspectionGraph
from burnish.export.parity import compare, gate_images


def test_the_gate_tells_what_it_measured(run_folder: Path, tmp_path: Path, metal: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = export_model(
        run_folder, "torch-export", tmp_path / "m.pt2", on_image=lambda *n: seen.append(n)
    )
    detector = Detector.load(run_folder)
    images = len(detector.card.data["held_out"]) + 16  # and the whole test folder
    assert seen == [(i, images) for i in range(1, images + 1)]
    assert len(made.parity.images) == images
    assert made.parity.passed
    for image in made.parity.images:
        assert image.score == detector.inspect(image.path).score
        assert image.by <= made.parity.tolerance
    assert made.bytes == (tmp_path / "m.pt2").stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt2"]


def test_what_the_caller_has_switched_on_changes_nothing(
    run_folder: Path, tmp_path: Path, metal: Path, request: pytest.FixtureRequest
) -> None:
    torch.set_default_dtype(torch.float64)
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    with torch.autocast("cpu", torch.bfloat16):
        made = export_model(run_folder, "torch-export", tmp_path / "m.pt2", metal / "test" / "good")
    assert made.parity.passed


def tampered(change: str) -> type[InspectionGraph]:
    class Tampered(InspectionGraph):
        def __init__(self, model: object) -> None:
            super().__init__(model)  # type: ignore[arg-type]
            if change == "threshold":
                self.threshold = self.scores[0].clone()
            else:
                self.view.mu = self.view.mu + 1e-3

    return Tampered


@pytest.mark.parametrize("change", ["threshold", "weight"])
def test_another_verdict_or_score_stops_the_export(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    old = tmp_path / "m.pt2"
    old.write_bytes(b"an older export")
    monkeypatch.setattr(write, "InspectionGraph", tampered(change))
    with pytest.raises(BurnishError) as caught:
        export_model(run_folder, "torch-export", old)
    message = str(caught.value)
    assert "not exported" in message
    told = ".png: the verdict differs" if change == "threshold" else ".png: the score differs by"
    assert told in message
    assert "train with --set qk_norm=true" in message
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt2"]
    assert old.read_bytes() == b"an older export"


def test_differences_are_counted_and_named(run_folder: Path, metal: Path) -> None:
    model = Detector.load(run_folder)
    other = model.with_false_alarms(0.9)  # the same scores, a lower threshold
    paths = sorted((metal / "test").rglob("*.png"))
    parity = compare(model, other, paths, 1e-4)
    expected = [p for p in paths if model.inspect(p).is_defect != other.inspect(p).is_defect]
    assert [image.path for image in parity.differing] == expected
    assert expected
    assert not parity.passed
    assert parity.beyond == ()
    assert str(expected[0]) in parity.complaint()


def test_the_models_own_images_are_those_held_out(run_folder: Path, metal: Path) -> None:
    card = Detector.load(run_folder).card
    own = gate_images(card, None)
    assert [p.name for p in own.good] == card.data["held_out"]
    assert len(own.tested) == 16
    assert not own.stand_in
    gone = card.model_copy(update={"data": card.data | {"held_out": ["gone.png"]}})
    assert gate_images(gone, None).stand_in
    others = gate_images(card, metal / "test" / "good")
    assert [p.parent.name for p in others.good] == ["good"] * 6
    assert others.tested == ()


def test_of_a_model_calibrated_later_they_are_those_that_set_its_threshold(
    run_folder: Path, metal: Path
) -> None:
    """And the test images of its data set, among which are defects."""
    good = metal / "test" / "good"
    card = Detector.load(run_folder).card
    later = card.data | {"calibrated_on": str(good), "held_out": [p.name for p in good.iterdir()]}
    own = gate_images(card.model_copy(update={"data": later}), None)
    assert list(own.good) == sorted(good.iterdir())
    assert own.tested == gate_images(card, None).tested
    assert not own.stand_in


def test_of_very_many_images_some_are_tried(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.export.parity.MOST_IMAGES", 3)
    tried = gate_images(Detector.load(run_folder).card, None)
    assert (len(tried.good), len(tried.tested)) == (3, 3)


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX systems alone")
def test_names_that_are_no_utf8_are_learnt_from_and_found_again(
    metal: Path, micro: dict, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"d\xe4")
    (folder / "train" / "good").mkdir(parents=True)
    for path in sorted((metal / "train" / "good").iterdir()):
        shutil.copyfile(path, folder / "train" / "good" / os.fsdecode(b"\xe4" + path.name.encode()))
    (folder / "train" / "good" / os.fsdecode(b"\xe4.png")).write_bytes(b"no picture")
    card = Detector.train(folder, "tiny", tmp_path / "run", steps=2, **micro).card
    assert Detector.load(tmp_path / "run").card == card
    own = gate_images(card, folder)
    assert ["\\udce4" + os.fsencode(p.name)[1:].decode() for p in own.good] == card.data["held_out"]
    assert not own.stand_in
    assert "\\udce4.png" in card.data["skipped"][0]


def test_without_images_there_is_no_export(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    with pytest.raises(BurnishError, match="there is no folder"):
        export_model(run_folder, "torch-export", tmp_path / "m.pt2", tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BurnishError, match=r"holds no image to compare on.*--data"):
        export_model(run_folder, "torch-export", tmp_path / "m.pt2", tmp_path / "empty")
    model = Detector.load(run_folder).model
    data = model.card.data | {"folder": str(tmp_path / "moved")}
    card = model.card.model_copy(update={"data": data})
    with pytest.raises(BurnishError, match=r"no longer at .*moved.*--data"):
        gate_images(card, None)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BurnishError, match="none of the images to compare on can be read"):
        export_model(run_folder, "torch-export", tmp_path / "m.pt2", tmp_path / "bad")
    assert not list(tmp_path.glob("*.pt2*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("to", "out", "int8", "message"),
    [
        ("onnx", "m.pt2", False, r"must end in \.onnx"),
        ("openvino", "m.XML", False, r"m\.XML: .*in small letters, \.xml"),
        ("coreml", None, False, "choose one of onnx, openvino, torch-export"),
        ("torch-export", None, True, "--int8 goes with"),
    ],
)
def test_what_does_not_fit_together(
    run_folder: Path, tmp_path: Path, to: str, out: str | None, int8: bool, message: str
) -> None:
    path = None if out is None else tmp_path / out
    with pytest.raises(BurnishError, match=message):
        export_model(run_folder, to, path, int8=int8)  # type: ignore[arg-type]


def test_an_export_is_not_exported_again(exports: Path) -> None:
    with pytest.raises(BurnishError, match="an exported model already"):
        export_model(exports / "model.onnx", "onnx")


def test_a_folder_that_cannot_be_written(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BurnishError, match="cannot write"):
        export_model(run_folder, "torch-export", tmp_path / "file" / "m.pt2")


@pytest.mark.parametrize(
    ("to", "out", "taken"),
    [("torch-export", "m.pt2", "m.pt2"), ("openvino", "m.xml", "m.xml"),
     ("openvino", "m.xml", "m.bin")],
)  # fmt: skip
def test_a_name_that_a_folder_has_is_refused_before_tracing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, out: str, taken: str
) -> None:
    monkeypatch.setattr(export, "trace", lambda model: pytest.fail("traced first"))
    (tmp_path / taken).mkdir()
    with pytest.raises(BurnishError, match=f"cannot write {tmp_path / taken}: a folder has"):
        export_model(run_folder, to, tmp_path / out)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize("where", ["write_torch", "compare"])
def test_only_what_is_written_there_is_blamed_on_the_folder(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "trace", lambda model: None)
    monkeypatch.setattr(export, "write_torch", lambda *arguments: None)
    monkeypatch.setattr(export, "load_exported", lambda path: None)
    monkeypatch.setattr(export, where, fail)
    with pytest.raises((BurnishError, OSError)) as caught:
        export_model(run_folder, "torch-export", tmp_path / "m.pt2")
    told = str(caught.value).startswith(f"cannot write {tmp_path / 'm.pt2'}: No space left")
    assert told == (where == "write_torch")
    assert not list(tmp_path.iterdir())


def test_an_export_that_was_killed_is_in_nobodys_way(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container started anew the process may have the number of the one that was killed."""
    left = tmp_path / f".m.pt2.{os.getpid()}.part"
    left.mkdir()
    (left / "m.pt2").write_bytes(b"half")

    def write(program: object, record: object, path: Path) -> None:
        assert path.parent != left
        path.write_bytes(b"whole")

    monkeypatch.setattr(export, "trace", lambda model: None)
    monkeypatch.setattr(export, "write_torch", write)
    monkeypatch.setattr(export, "load_exported", lambda path: Detector.load(run_folder))
    export_model(run_folder, "torch-export", tmp_path / "m.pt2")
    assert (tmp_path / "m.pt2").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == [left.name, "m.pt2"]
    assert (left / "m.pt2").read_bytes() == b"half"  # it may be at work in another container


def test_hidden_tokens_dropped(metal: Path, micro: dict, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Detector.train(metal, "tiny", out, steps=2, hidden_tokens="drop", error="relative", **micro)
    assert export_model(out, "torch-export").parity.passed
    assert export_model(out, "onnx").parity.passed
    image = np.asarray(Image.open(metal / "test" / "good" / "000.png"))
    one, two = Detector.load(out).inspect(image), Detector.load(out / "model.pt2").inspect(image)
    assert two.score == pytest.approx(one.score, rel=1e-5)


def test_int8_is_tried_on_images_that_did_not_set_its_ranges(
    run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    card = Detector.load(run_folder).card
    assert gate_images(card, None).for_ranges == gate_images(card, None).good
    alone = gate_images(card, metal / "test" / "good")  # six, and nothing beside them
    assert alone.for_ranges == alone.good[:3]
    said: list[str] = []
    folder = metal / "test" / "good"
    with suppress(BurnishError):  # a network of twelve steps need not pass in 8 bits
        export_model(run_folder, "onnx", tmp_path / "m.onnx", folder, True, said.append)
    assert said[2:4] == ["calibrating int8 on 3 good images", "comparing on 6 images"]
    assert said[4].startswith("all of them are good: --data")
    (tmp_path / "one").mkdir()
    shutil.copy(metal / "test" / "good" / "000.png", tmp_path / "one")
    with pytest.raises(BurnishError, match="is tried on others, and there is a single one"):
        export_model(run_folder, "onnx", tmp_path / "m.onnx", tmp_path / "one", True)


def test_int8_moves_the_threshold_only_as_far_as_good_images_need(
    run_folder: Path, metal: Path
) -> None:
    from burnish.export.quantise import linear_nodes, quantise, raise_threshold

    detector = Detector.load(run_folder)
    proto = write.to_onnx(write.trace(detector.model))
    linear = [m for m in detector.model.generator.modules() if isinstance(m, torch.nn.Linear)]
    assert len(linear_nodes(proto, detector.model.generator)) == len(linear)
    good = gate_images(detector.card, None).good
    small = quantise(proto, detector.model.generator, good)
    weights = 4 * sum(module.weight.numel() for module in linear)  # bytes in float32
    saved = proto.ByteSize() - small.ByteSize()
    assert 0.5 * weights < saved < 0.76 * weights  # three of four bytes, less ranges and nodes
    threshold = raise_threshold(small, detector, good)
    import onnx
    import onnxruntime

    onnx.checker.check_model(small, full_check=True)
    session = onnxruntime.InferenceSession(small.SerializeToString())
    passing = [p for p in good if not detector.inspect(p).is_defect]
    scores = []
    for path in passing:
        pixels = np.asarray(Image.open(path))[..., None]
        score, is_defect = session.run(["score", "is_defect"], {"pixels": pixels})
        assert not is_defect
        assert float(score) == pytest.approx(detector.inspect(path).score, rel=0.1)
        scores.append(float(score))
    highest = max(scores)
    assert threshold == max(highest + 1e-3 * abs(highest), np.float32(detector.threshold))
