"""The model file: bit for bit there and back, and a clear error for anything else."""

from __future__ import annotations

import json
import pickle
import re
import resource
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish import Detector
from burnish.configuration import make_settings
from burnish.detection.calibration import Calibration
from burnish.detection.model_file import (
    FORMAT,
    KEY,
    Model,
    ModelCard,
    _digest,
    load_model,
    save_model,
)
from burnish.detection.stored_parts import maps_of
from burnish.errors import BurnishError
from burnish.method.extremes import Extremes
from burnish.method.factors import Factors
from burnish.method.generator import Generator, InputShape
from burnish.method.lines import LineModel
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel
from burnish.settings import Settings

SMALL = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 16, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1,
}  # fmt: skip


def make_factors() -> Factors:
    return Factors(torch.randn(9, 4, 5), torch.rand(9, 4, 5), torch.randn(3, 9, 4, 5))


def make_model(
    settings: Settings | None = None,
    standardise: str = "position",
    texture: tuple[str, ...] = (),
    lines: tuple[int, ...] = (),
    whole: bool = False,
    extremes: bool = False,
) -> Model:
    changes = {"standardise": standardise, "texture": texture, "lines": lines, "whole": whole}
    changes |= {"fusion": "scores", "extremes": extremes} if whole or extremes else {}
    settings = settings or make_settings("tiny", SMALL | changes)
    torch.manual_seed(0)
    generator = Generator(settings, InputShape(1, 32, 40))
    more = maps_of(settings, 1) + settings.judges_whole - 2
    card = ModelCard(
        format=FORMAT, preset="tiny", settings=settings, shape=generator.shape,
        calibration=Calibration(
            mu=(0.1 + 0.2, 0.3, *[0.5] * more), sigma=(0.01, 1 / 3, *[0.2] * more),
            scores=(0.7, 0.9, 1.1), peaks=(2.0, 2.5, 3.0), heat_low=1.7, false_alarms=0.25,
        ),
        data={"folder": "/data/Größe", "held_out": ["a.png"], "training_images": 12},
        training={"steps": 5, "seconds": 1.25}, versions={"burnish": "0.1.0"},
    )  # fmt: skip
    position = None
    if settings.standardise == "position":
        position = (torch.randn(2, 32, 40), torch.rand(2, 32, 40) + 0.1)
    textures = tuple(
        TextureModel(
            grain, torch.randn(9, 8, 10), torch.rand(9, 8, 10), torch.randn(2, 9, 9), of,
            make_factors() if of == "image" else None,
        )
        for of, grain in settings.textures(1)
    )  # fmt: skip
    models = tuple(
        LineModel(w, torch.randn(16, 8, 10), torch.rand(16, 8, 10)) for w in settings.lines
    )
    values = len(textures) * 9 * 16
    found = WholeModel(torch.randn(values), torch.rand(values), torch.randn(values, values))
    maps = len(settings.mask_blocks) + 2 * len(textures) + len(models)
    extremes = Extremes(torch.randn(maps, 4, 5), torch.rand(maps, 4, 5))
    return Model(
        generator, card, position, textures=textures, lines=models, whole=found if whole else None,
        extremes=extremes if settings.knows_extremes else None,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path / "model.safetensors", make_model())
    return tmp_path / "model.safetensors"


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and tensor bytes of a safetensors file: 8 bytes of length, JSON, raw numbers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(path: Path, header: dict[str, Any], body: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def change_card(path: Path, change: Any) -> None:
    """Edit the card by hand and leave everything else as it is."""
    header, body = split(path)
    card = json.loads(header["__metadata__"][KEY])
    header["__metadata__"][KEY] = json.dumps(change(card))
    join(path, header, body)


def assert_same(one: Model, two: Model) -> None:
    assert one.card == two.card
    weights, others = one.generator.state_dict(), two.generator.state_dict()
    assert list(weights) == list(others)
    for name in weights:
        assert weights[name].numpy().tobytes() == others[name].numpy().tobytes(), name
    assert (one.position is None) == (two.position is None)
    for a, b in zip(one.position or (), two.position or (), strict=True):
        assert torch.equal(a, b)
    for left, right in zip(one.textures, two.textures, strict=True):
        assert (left.of, left.grain) == (right.of, right.grain)
        for name in ("mean", "deviation", "precision"):
            assert torch.equal(getattr(left, name), getattr(right, name))
        assert (left.factors is None) == (right.factors is None) == (left.of == "residual")
        if left.factors is not None and right.factors is not None:
            for name, values in vars(left.factors).items():
                assert torch.equal(values, getattr(right.factors, name))

    assert (one.whole is None) == (two.whole is None)
    for name, values in vars(one.whole).items() if one.whole else ():
        assert torch.equal(values, getattr(two.whole, name))
    assert (one.extremes is None) == (two.extremes is None)
    for name, values in vars(one.extremes).items() if one.extremes else ():
        assert torch.equal(values, getattr(two.extremes, name))
    for a_line, b_line in zip(one.lines, two.lines, strict=True):
        assert a_line.width == b_line.width
        assert torch.equal(a_line.mean, b_line.mean)
        assert torch.equal(a_line.deviation, b_line.deviation)


@pytest.mark.parametrize("lines", [(), (1, 3)])
@pytest.mark.parametrize("standardise", ["position", "none"])
@pytest.mark.parametrize("texture", [(), ("residual:1", "image:3", "image:1")])
def test_round_trip_is_bit_for_bit(
    standardise: str, texture: tuple[str, ...], lines: tuple[int, ...], tmp_path: Path
) -> None:
    more = bool(texture)
    model = make_model(
        standardise=standardise, texture=texture, lines=lines, whole=more, extremes=more
    )
    assert (model.extremes is not None) == more
    with torch.no_grad():  # numbers that a detour through text or half precision would lose
        model.generator.norm.bias.copy_(torch.linspace(-1e-38, 1e30, 16))
    save_model(tmp_path / "a.safetensors", model)
    again = load_model(tmp_path / "a.safetensors")
    assert_same(again, model)
    assert not again.generator.training
    assert again.card.calibration.threshold == model.card.calibration.threshold
    save_model(tmp_path / "b.safetensors", again)
    assert_same(load_model(tmp_path / "b.safetensors"), model)


def test_a_run_folder_will_do(saved: Path) -> None:
    assert_same(load_model(saved.parent), load_model(saved))


def test_only_what_inspection_needs_is_in_it(saved: Path) -> None:
    tensors = load_file(saved)
    generator = set(load_model(saved).generator.state_dict())
    assert set(tensors) == {f"generator.{name}" for name in generator} | {
        "position.mean", "position.deviation"
    }  # fmt: skip
    assert {t.dtype for t in tensors.values()} == {torch.float32}


def test_nothing_but_json_and_numbers_is_in_it(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, body = split(saved)
    offsets = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    assert sum(end - start for start, end in offsets) == len(body)
    assert len(body) == 4 * sum(int(np.prod(shape)) for shape in shapes)
    assert set(header["__metadata__"]) == {KEY, "sha256"}

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_model(saved)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.02, 0.5, 0.99, 1.0])
def test_cut_short(saved: Path, kept: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: min(int(kept * len(data)), len(data) - 1)])
    with pytest.raises(BurnishError, match="damaged, cut short") as error:
        load_model(saved)
    assert str(saved) in str(error.value)


def test_a_model_in_use_does_not_change_with_its_file(saved: Path) -> None:
    model = load_model(saved)
    before = {name: tensor.clone() for name, tensor in model.generator.state_dict().items()}
    size = saved.stat().st_size
    with saved.open("r+b") as file:  # as `cp` copies another model over it
        file.write(b"\xff" * size)
    after = model.generator.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_bytes_appended(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0" * 64)
    with pytest.raises(BurnishError, match="damaged"):
        load_model(saved)


@pytest.mark.parametrize(
    "content", [b"just some text\n" * 50, b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"{}", b"\xff" * 99]
)
def test_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BurnishError, match="no safetensors file"):
        load_model(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"burnish-state": "{}"}])
def test_foreign_safetensors(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    with pytest.raises(BurnishError, match="not a burnish model"):
        load_model(path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no such model"):
        load_model(tmp_path / "nothing.safetensors")
    with pytest.raises(BurnishError, match="no such model"):
        load_model(tmp_path)  # a folder without a model


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"texture": [1, 3], "texture_of": "both"},
         ("residual:1", "residual:3", "image:1", "image:3")),
        ({"texture": [2], "texture_of": "image"}, ("image:2",)),
        ({"texture": [2]}, ("residual:2",)),  # format 3
        ({"texture_of": "both"}, ()),
        ({}, ()),
    ],
)  # fmt: skip
def test_textures_of_format_4(old: dict, new: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = make_model(texture=new)
    save_model(path, model)

    header, body = split(path)
    card = json.loads(header["__metadata__"][KEY])
    settings = {k: v for k, v in card["settings"].items() if k != "texture"} | old
    text = json.dumps(card | {"format": 4, "settings": settings})
    header["__metadata__"] = {KEY: text, "sha256": _digest(text, load_file(path))}
    join(path, header, body)
    again = load_model(path)
    assert again.card.settings == model.card.settings
    assert_same(replace(again, card=model.card), model)
    save_model(path, again)  # of today's format, not brought up to date a second time
    assert_same(load_model(path), model)


@pytest.mark.parametrize("wrong", [{"texture": 7}, {"texture": [1], "texture_of": []}, [], None])
def test_textures_of_format_4_that_make_no_sense(wrong: object, saved: Path) -> None:
    change_card(saved, lambda card: card | {"format": 4, "settings": wrong})
    with pytest.raises(BurnishError, match="bad header at settings"):
        load_model(saved)


def test_newer_format_says_update(saved: Path) -> None:
    change_card(saved, lambda card: card | {"format": FORMAT + 1, "settings": {"unheard of": 1}})
    with pytest.raises(BurnishError, match=f"format {FORMAT + 1}.*update burnish"):
        load_model(saved)


def test_an_unknown_setting_says_update(saved: Path) -> None:
    change_card(saved, lambda card: card | {"settings": card["settings"] | {"unheard_of": 1}})
    with pytest.raises(BurnishError, match=r"settings\.unheard_of is unknown .*: update it"):
        load_model(saved)


def with_calibration(**values: object) -> Any:
    return lambda card: card | {"calibration": card["calibration"] | values}


@pytest.mark.parametrize(
    "change",
    [
        with_calibration(false_alarms=0.9),  # another threshold
        with_calibration(scores=[5.0, 6.0, 7.0]),
        with_calibration(mu=[0.3, 0.3]),
        lambda card: card | {"preset": "paper"},
        lambda card: card | {"settings": card["settings"] | {"smoothing": 3.0}},
        lambda card: card | {"data": {}},
    ],
)
def test_tampered_card(saved: Path, change: Any) -> None:
    change_card(saved, change)
    with pytest.raises(BurnishError, match="changed after it was written"):
        load_model(saved)


def test_checksum_taken_out(saved: Path) -> None:
    header, body = split(saved)
    del header["__metadata__"]["sha256"]
    join(saved, header, body)
    with pytest.raises(BurnishError, match="changed after it was written"):
        load_model(saved)


@pytest.mark.parametrize("name", ["generator.to_pixels.weight", "position.mean"])
def test_tampered_weights(saved: Path, name: str) -> None:
    header, body = split(saved)
    start, _ = header[name]["data_offsets"]
    join(saved, header, body[: start + 2] + bytes([body[start + 2] ^ 1]) + body[start + 3 :])
    with pytest.raises(BurnishError, match="changed after it was written"):
        load_model(saved)


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "7", "null", "{}", '{"format": null}', '{"format": "one"}',
     '{"format": Infinity}', '{"format": NaN}', '{"format": 1}', '{"format": 1, "preset": 5}',
     "[" * 100_000],
)  # fmt: skip
def test_broken_card(saved: Path, text: str) -> None:
    header, body = split(saved)
    header["__metadata__"][KEY] = text
    join(saved, header, body)
    with pytest.raises(BurnishError, match="header"):
        load_model(saved)


def test_unknown_setting_in_the_card(saved: Path) -> None:
    change_card(saved, lambda card: card | {"settings": card["settings"] | {"colour_space": "lab"}})
    with pytest.raises(BurnishError, match="colour_space"):
        load_model(saved)


@pytest.mark.parametrize(
    "changes", [{"width": 32}, {"depth_encoder": 2}, {"skip": "none"}, {"standardise": "none"}]
)
def test_weights_of_other_settings(tmp_path: Path, changes: dict[str, object]) -> None:
    model = make_model()
    card = model.card.model_copy(update={"settings": make_settings("tiny", SMALL | changes)})
    save_model(tmp_path / "model.safetensors", Model(model.generator, card, model.position))
    with pytest.raises(BurnishError, match="do not fit"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["mean", "deviation", "precision"])
@pytest.mark.parametrize("damage", ["gone", "reshaped"])
def test_a_texture_that_does_not_fit(name: str, damage: str, tmp_path: Path) -> None:
    model = make_model(texture=("residual:2", "image:2"))
    if damage == "gone":
        model = replace(model, textures=())
    else:
        wrong = replace(model.textures[0], **{name: torch.zeros(3, 9, 8)})
        model = replace(model, textures=(wrong, *model.textures[1:]))
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(BurnishError, match="do not fit the settings"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["mean", "deviation"])
@pytest.mark.parametrize("damage", ["gone", "reshaped"])
def test_lines_that_do_not_fit(name: str, damage: str, tmp_path: Path) -> None:
    model = make_model(texture=("image:2",), lines=(2,))
    wrong = replace(model.lines[0], **{name: torch.zeros(16, 8, 9)})
    model = replace(model, lines=() if damage == "gone" else (wrong,))
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(BurnishError, match="do not fit the settings"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["mean", "deviation", "whitening"])
@pytest.mark.parametrize("damage", ["gone", "reshaped"])
def test_a_whole_that_does_not_fit(name: str, damage: str, tmp_path: Path) -> None:
    model = make_model(texture=("image:2",), whole=True)
    assert model.whole is not None
    wrong = replace(model.whole, **{name: torch.zeros(143)})
    model = replace(model, whole=None if damage == "gone" else wrong)
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(BurnishError, match="do not fit the settings"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["mean", "height"])
@pytest.mark.parametrize("damage", ["gone", "reshaped"])
def test_extremes_that_do_not_fit(name: str, damage: str, tmp_path: Path) -> None:
    model = make_model(texture=("image:2",), extremes=True)
    assert model.extremes is not None
    wrong = replace(model.extremes, **{name: torch.zeros(4, 4, 4)})
    model = replace(model, extremes=None if damage == "gone" else wrong)
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(BurnishError, match="do not fit the settings"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["mean", "deviation", "ways"])
def test_factors_that_do_not_fit(name: str, tmp_path: Path) -> None:
    model = make_model(texture=("image:2",))
    factors = model.textures[0].factors
    assert factors is not None
    wrong = replace(model.textures[0], factors=replace(factors, **{name: torch.zeros(3, 9, 8, 10)}))
    save_model(tmp_path / "model.safetensors", replace(model, textures=(wrong,)))
    with pytest.raises(BurnishError, match="do not fit the settings"):
        load_model(tmp_path / "model.safetensors")


PARTS = (
    "generator.to_pixels.weight", "generator.norm.bias", "position.mean", "position.deviation",
    "texture.image.2.mean", "texture.image.2.deviation", "texture.image.2.precision",
    "texture.image.2.factors.mean", "texture.image.2.factors.ways", "lines.1.mean",
    "lines.1.deviation", "whole.mean", "whole.deviation", "whole.whitening", "extremes.mean",
    "extremes.height", "roi.png",
)  # fmt: skip
TYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64)
SHAPES = {
    "empty": lambda tensor: tensor.new_zeros(0),
    "scalar": lambda tensor: tensor.flatten()[0].clone(),
    "longer": lambda tensor: torch.cat([tensor, tensor], dim=-1),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with parts of every kind but features."""
    settings = make_settings("tiny", SMALL | {
        "standardise": "position", "texture": "image:2", "lines": 1, "whole": True,
        "extremes": True, "fusion": "scores", "roi": "0,0 9,0 9,9", "align": "none",
    })  # fmt: skip
    path = tmp_path_factory.mktemp("crafted") / "model.safetensors"
    model = make_model(settings, whole=True)
    save_model(path, replace(model, roi=np.eye(32, 40, dtype=bool)))
    assert load_model(path).roi is not None
    return path


def sign(source: Path, path: Path, tensors: dict[str, torch.Tensor], card: Any = None) -> Path:
    """Write other tensors or another card with the checksum that goes with them."""
    text = split(source)[0]["__metadata__"][KEY] if card is None else json.dumps(card)
    save_file(tensors, path, metadata={KEY: text, "sha256": _digest(text, tensors)})
    return path


@pytest.mark.parametrize("name", PARTS)
def test_a_tensor_of_another_type_or_shape_is_named(
    everything: Path, tmp_path: Path, name: str
) -> None:
    """Also with a right checksum, as whoever crafts a file may give it one."""
    tensors, path = load_file(everything), tmp_path / "crafted.safetensors"
    assert set(PARTS) <= set(tensors)
    crafts = [(f"{name} is of {dtype}, not", tensors[name].to(dtype)) for dtype in TYPES]
    for shape, change in SHAPES.items():
        if name != "roi.png" or shape == "scalar":  # it may have any length
            crafts.append((f"{name} has shape", change(tensors[name])))
    for why, wrong in crafts:
        sign(everything, path, tensors | {name: wrong})
        with pytest.raises(BurnishError, match=re.escape(f"{path}: weights do not fit")) as error:
            load_model(path)
        assert why in str(error.value)


def test_a_tensor_that_is_missing_or_too_much_is_named(everything: Path, tmp_path: Path) -> None:
    path = tmp_path / "crafted.safetensors"
    for name in PARTS:
        tensors = load_file(everything)
        if not name.endswith(".factors.ways"):  # without it there are no factors
            del tensors[name]
            with pytest.raises(BurnishError, match=f"{name} is missing"):
                load_model(sign(everything, path, tensors))
    tensors = load_file(everything) | {"lines.2.mean": torch.zeros(16, 8, 10)}
    with pytest.raises(BurnishError, match=r"lines\.2\.mean is of a part that they do not ask for"):
        load_model(sign(everything, path, tensors))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda card: card["shape"].update(channels=2), "shape: .* not 2"),
        (lambda card: card["shape"].update(width=41), "shape: no input of 41 x 32 px"),
        (lambda card: card["shape"].update(height=-32), "shape: no input of 40 x -32 px"),
        (lambda card: card["shape"].update(height=0), "shape: no input"),
        (lambda card: card["shape"].update(height=8 * 10**30), "shape: no input"),
        (lambda card: card["calibration"].update(mu=[], sigma=[]), "calibration.mu: 0 values"),
        (lambda card: card["calibration"].update(mu=[1.0] * 5, sigma=[1.0] * 5),
         "calibration.mu: 5 values for 6 maps"),
    ],
)  # fmt: skip
def test_a_header_that_contradicts_itself(
    everything: Path, tmp_path: Path, change: Any, where: str
) -> None:
    card = json.loads(split(everything)[0]["__metadata__"][KEY])
    change(card)
    path = sign(everything, tmp_path / "crafted.safetensors", load_file(everything), card)
    with pytest.raises(BurnishError, match=f"bad header at {where}"):
        load_model(path)


def test_position_wanted_but_not_there(tmp_path: Path) -> None:
    model = make_model()
    save_model(tmp_path / "model.safetensors", Model(model.generator, model.card, None))
    with pytest.raises(BurnishError, match="do not fit"):
        load_model(tmp_path / "model.safetensors")


def test_any_flipped_bit_is_found_or_harmless(saved: Path) -> None:
    original, data = load_model(saved), saved.read_bytes()
    header_end = 8 + struct.unpack("<Q", data[:8])[0]
    rng = np.random.default_rng(0)
    places = [*range(8), *rng.integers(8, header_end, 200), *rng.integers(8, len(data), 50)]
    found = 0
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        saved.unlink()
        saved.write_bytes(changed)
        try:
            assert_same(load_model(saved), original)  # e.g. white space at the header's end
        except BurnishError:
            found += 1
    assert found >= 0.95 * len(places)


def test_a_failing_save_keeps_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    model = make_model()
    shared = model.card.model_copy(update={"data": {"odd": object()}})
    with pytest.raises(Exception, match="object"):
        save_model(saved, Model(model.generator, shared, model.position))
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


FULL_DISK = """
import resource, sys
from pathlib import Path
from burnish.detection.model_file import load_model, save_model
from burnish.errors import BurnishError
path = Path(sys.argv[1])
model = load_model(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    save_model(path, model)
except BurnishError as error:
    assert "cannot write" in str(error) and "room" in str(error), error
else:
    raise SystemExit("nothing was raised")
"""


def test_full_disk_keeps_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    assert len(before) > 5000
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(saved)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BurnishError, match="cannot write"):
        save_model(tmp_path / "file" / "model.safetensors", make_model())


def test_the_card_is_plain_json(saved: Path) -> None:
    plain = json.loads(json.dumps(load_model(saved).card.model_dump(mode="json"), allow_nan=False))
    assert plain["shape"] == {"channels": 1, "height": 32, "width": 40}
    assert plain["settings"]["mask_blocks"] == [8, 16]
    assert plain["data"]["folder"] == "/data/Größe"


def test_a_header_that_claims_a_huge_network_costs_no_memory(
    detector: Detector, tmp_path: Path
) -> None:
    """Such a header carries a right checksum if its maker wants it to."""
    claims = {"width": 4096, "heads": 64, "depth_encoder": 64, "depth_decoder": 64}
    settings = detector.card.settings.model_copy(update=claims)  # 100 GB of weights
    card = detector.card.model_copy(update={"settings": settings})
    path = tmp_path / "huge.safetensors"
    save_model(path, Model(detector.model.generator, card))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BurnishError, match="do not fit"):
        load_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
