"""A hostile .pt2 never gets to run code: torch.export.load would unpickle and evaluate."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish import BurnishError
from burnish.export.exported import load_exported
from burnish.export.metadata import KEY
from burnish.export.pt2_guard import EXTRA, pack, read_members
from burnish.export.runtimes import members_digest

PROGRAM, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.target,)


def hostile(source: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy with a change, and a checksum that fits again."""
    members = read_members(source)
    record = json.loads(members.pop(EXTRA))
    change(members)
    record["sha256"] = members_digest(members | {EXTRA: record[KEY].encode()})
    path.write_bytes(pack(members | {EXTRA: json.dumps(record).encode()}))
    return path


def edit(text: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        assert text.encode() in members[PROGRAM]
        members[PROGRAM] = members[PROGRAM].replace(text.encode(), new.encode(), 1)

    return change


def test_the_copy_itself_loads(exports: Path, tmp_path: Path) -> None:
    """Else the tests below would prove nothing."""
    path = hostile(exports / "model.pt2", tmp_path / "m.pt2", lambda members: None)
    assert load_exported(path).threshold > 0


def test_pickles_are_not_read(exports: Path, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "ran"))

    def samples(members: dict[str, bytes]) -> None:
        members[SAMPLES] = bomb

    def weight(members: dict[str, bytes]) -> None:
        name = "data/weights/model_weights_config.json"
        members["data/weights/weight_0"] = bomb
        members[name] = members[name].replace(b'"use_pickle": false', b'"use_pickle": true', 1)

    for change, message in ((samples, "pickled example inputs"), (weight, "a pickled tensor")):
        path = hostile(exports / "model.pt2", tmp_path / "m.pt2", change)
        with pytest.raises(BurnishError, match=f"{message}.*could run code"):
            load_exported(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Symbol('s", "__import__('os').system('touch ran')or Symbol('s"),
        ("Integer(", "().__class__.__mro__[1](Integer("),
        ("Symbol('s", "Pow(Integer(9), Pow(Integer(9), Integer(9)))+Symbol('s"),
        ("Symbol('s", "Mul(Pow(Integer(9), Integer(99999999)), Symbol('s"),
        ("Integer(", "Integer(99999999999"),
        ("torch.ops.aten.floor.default", "torch.hub.load"),
        ("torch.ops.aten.floor.default", "torch.ops.load_library"),
        ("torch.ops.aten.floor.default", "torch.ops.aten.from_file.default"),
        ("_operator.and_", "_operator.methodcaller"),
        ('"name": "pixels"', '"name": "x):\\n import os #"'),
        ("builtins.tuple", "collections.namedtuple"),
        ('"guards_code": []', "\"guards_code\": [\"__import__('os').system('touch ran')\"]"),
        ('"guards_code": []', '"guards_code": ["exit"]'),
        ('"as_float": ', '"as_float": "nan or exit", "as_int": '),
    ],
)
def test_code_in_text_is_not_read(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, new: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = hostile(exports / "model.pt2", tmp_path / "m.pt2", edit(text, new))
    with pytest.raises(BurnishError, match="could run code"):
        load_exported(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["torch.ops.aten.digamma.default", "torch.ops.aten.from_file.default", "torch.os._exit"]
)
def test_no_other_operator_is_given_to_one_that_calls_it(
    exports: Path, tmp_path: Path, name: str
) -> None:
    """`cond` may call what it is given: a graph of the file, or an operator by name."""

    def change(members: dict[str, bytes]) -> None:
        program = json.loads(members[PROGRAM])
        nodes = program["graph_module"]["graph"]["nodes"]
        cond = next(node for node in nodes if node["target"].endswith(".cond"))
        for branch in cond["inputs"][1:3]:
            branch["arg"] = {"as_operator": name}
        members[PROGRAM] = json.dumps(program).encode()

    path = hostile(exports / "model.pt2", tmp_path / "m.pt2", change)
    with pytest.raises(BurnishError, match=f"as_operator '{name}'.*could run code"):
        load_exported(path)


def test_compiled_libraries_and_doubled_members_are_not_read(exports: Path, tmp_path: Path) -> None:
    members = read_members(exports / "model.pt2")
    path = tmp_path / "m.pt2"
    path.write_bytes(pack(members | {"data/aotinductor/model/evil.so": b"\x7fELF"}))
    with pytest.raises(BurnishError, match=r"evil\.so.*could run code"):
        load_exported(path)
    path.write_bytes(pack(members))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/models/model.json", b"{}")
    with pytest.raises(BurnishError, match=r"models/model\.json.*could run code"):
        load_exported(path)


def test_compressed_members_are_not_unpacked(exports: Path, tmp_path: Path) -> None:
    """A few bytes could fill the memory."""
    members, path = read_members(exports / "model.pt2"), tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"model/{name}", content)
    with pytest.raises(BurnishError, match=r"compressed members.*does not write"):
        load_exported(path)


def test_no_path_of_this_machine_is_in_the_file(exports: Path) -> None:
    members = read_members(exports / "model.pt2")
    members.pop(EXTRA)  # the card names the data folder, as the model file does
    assert not [name for name, content in members.items() if b"/src/burnish" in content]
