"""Guard against hostile .pt2 files, as `torch.export.load` can run code from them.

It does so in three ways: it unpickles tensors and example inputs (falling back to full pickle),
evaluates size expressions as Python (`sympy.sympify`), and looks up any attribute of `torch` by
name as a node's target. Expressions and compressed members can also be made to take for ever, or
all memory. So a file is taken apart here, every string in it is checked against an allow-list, and
an archive is built from the parts that passed: `torch` never sees the file itself.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError

EXTRA = "extra/burnish.json"

# Below the archive's own folder. No pickled tensors, no compiled libraries.
MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id|alignment)"
    r"|models/model\.json|extra/burnish\.json"
    r"|data/(weights|constants)/(model_\w+_config\.json|(weight|tensor)_\d+)"
    r"|data/sample_inputs/model\.pt"
)
NAME = re.compile(r"[\w.]*", re.ASCII)
SPEC = re.compile(
    r'[\[\]{}, :\d]|"(type|context|children_spec|builtins\.(tuple|dict)|null|\[\])"|null'
)
SYMBOL = re.compile(r"Symbol\('s\d+', positive=True, integer=True\)|Integer\(-?\d{1,10}\)")
# A power of a power may take for ever to evaluate.
POWER = re.compile(r"Pow\(Symbol\('s\d+', positive=True, integer=True\), Integer\((-1|2)\)\)")
LONGEST = 10_000  # letters of an expression
EXPRESSION = re.compile(
    r"(Add|Mul|Max|Min|Mod|FloorDiv|CleanDiv|PythonMod|And|Or|Not|Equality|Unequality"
    r"|(Strict)?(Greater|Less)Than|true|false|[(), ])*"
)
ATEN = """
    __and__.Tensor _assert_tensor_metadata.default abs.default add.Tensor alias.default all.default
    all.dim amax.default amin.default any.default any.dim arange.default arange.start argmax.default
    argsort.default argsort.stable avg_pool2d.default bitwise_and.Tensor bitwise_not.default
    cat.default chunk.default clamp.default clamp_min.default clone.default conv2d.default
    conv2d.padding cos.default div.Tensor eq.Scalar eq.Tensor expand.default expand_as.default
    flatten.using_ints floor.default floor_divide.default full.default ge.Scalar ge.Tensor
    gelu.default gt.Scalar gt.Tensor index.Tensor index_select.default layer_norm.default le.Scalar
    le.Tensor lift_fresh_copy.default linear.default log.default logical_and.default
    logical_not.default lt.Scalar lt.Tensor masked_fill.Scalar matmul.default max_pool2d.default
    maximum.default mean.default mean.dim minimum.default mm.default mul.Tensor ne.Scalar
    neg.default new_full.default new_ones.default new_zeros.default numpy_T.default ones.default
    ones_like.default pad.default permute.default pow.Tensor_Scalar repeat.default
    repeat_interleave.self_int reshape.default round.default rsub.Scalar
    scaled_dot_product_attention.default scatter.src scatter_.src scatter_add.default select.int
    sigmoid.default sin.default slice.Tensor softmax.int sort.stable split.Tensor
    split_with_sizes.default sqrt.default square.default stack.default sub.Tensor sum.default
    sum.dim_IntList sym_size.int t.default to.device to.dtype to.dtype_layout topk.default
    transpose.int type_as.default unbind.int unflatten.int unsqueeze.default upsample_bilinear2d.vec
    view.default where.ScalarOther where.self zeros.default zeros_like.default
"""
PYTHON = "add sub mul floordiv neg and_ or_ gt ge lt le eq getitem"
OPERATORS = {
    "torch.ops.higher_order.cond",
    "torch.ops.higher_order.scan",
    "torch.sym_max",
    *(f"torch.ops.aten.{name}" for name in ATEN.split()),
    *(f"_operator.{name}" for name in PYTHON.split()),
}


def read_members(path: Path, content: bytes | None = None) -> dict[str, bytes]:
    """The members of a .pt2 file, without the folder they lie in.

    Args:
        content: the file's, if it is not on the disk yet.

    Raises:
        BurnishError: not a zip file, damaged, or with a member that burnish does not write.
    """
    try:
        size = path.stat().st_size if content is None else len(content)
        with zipfile.ZipFile(path if content is None else io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise _refused(path, "compressed members")  # a few bytes could fill the memory
            if sum(info.file_size for info in infos) > size:
                raise BurnishError(f"{path} is damaged: its members are larger than the file")
            found = {}
            for info in infos:
                _, _, name = info.filename.partition("/")
                if not MEMBERS.fullmatch(name) or name in found:
                    raise _refused(path, f"its member {info.filename!r}")
                found[name] = archive.read(info)
    except FileNotFoundError as error:
        raise BurnishError(f"no such model: {path}") from error
    # zipfile meets hostile bytes with many exceptions (BadZipFile, struct, zlib, NotImplemented).
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, EOFError) as error:
        raise BurnishError(f"{path} is damaged, cut short, or no .pt2 file: {error}") from error
    return found


def check_members(path: Path, members: dict[str, bytes]) -> None:
    """Make sure that nothing in the members can run code when `torch.export.load` reads them.

    Raises:
        BurnishError: something might.
    """
    if members.get("data/sample_inputs/model.pt"):
        raise _refused(path, "pickled example inputs")
    for name, content in members.items():
        if not name.endswith(".json") or name == EXTRA:
            continue
        try:
            _walk(path, json.loads(content), "")
        except (ValueError, RecursionError) as error:
            raise BurnishError(f"{path} is damaged: {name} is no JSON ({error})") from error


def pack(members: dict[str, bytes]) -> bytes:
    """The members as a .pt2 archive: stored, each padded to 64 bytes as torch wants it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(f"model/{name}")
            start = stream.tell() + 30 + len(info.filename.encode()) + 4
            padding = -start % 64
            info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(info, content)
    return stream.getvalue()


def strip(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members without what is not needed to run: pickled example inputs, file names of this
    machine, and assertions about sizes, which are Python code.

    Args:
        members: of an archive that `torch.export.save` wrote.
    """
    program = json.loads(members["models/model.json"])
    _forget(program)
    program["guards_code"] = []
    kept = members | {"models/model.json": json.dumps(program).encode()}
    return kept | {"data/sample_inputs/model.pt": b""}


def _forget(value: Any) -> None:
    if isinstance(value, dict):
        for key in ("stack_trace", "nn_module_stack", "torch_fn", "source_fn_stack"):
            if isinstance(value.get("metadata"), dict):
                value["metadata"].pop(key, None)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _forget(item)


def _walk(path: Path, value: Any, key: str) -> None:
    """Check every key and string of the JSON against the list that is allowed at its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not NAME.fullmatch(name):
                raise _refused(path, f"the name {name[:40]!r}")
            if name == "use_pickle" and item is not False:
                raise _refused(path, "a pickled tensor")
            if name == "guards_code" and item:
                raise _refused(path, "assertions in Python")
            _walk(path, item, name)
    elif isinstance(value, list):
        for item in value:
            _walk(path, item, key)
    elif isinstance(value, str) and not _is_safe(value, key):
        raise _refused(path, f"{key or 'the text'} {value[:60]!r}")


def _is_safe(text: str, key: str) -> bool:
    """Whether a string is one that burnish writes under this key."""
    if key in ("target", "as_operator"):  # an operator that a node calls, or is given to call
        return text in OPERATORS
    if key == "expr_str":
        plain = SYMBOL.sub("", POWER.sub("", text))
        return len(text) <= LONGEST and EXPRESSION.fullmatch(plain) is not None
    if key in ("in_spec", "out_spec"):
        return not SPEC.sub("", text)
    if key == "as_float":
        return text in ("Infinity", "-Infinity")
    if key == "torch_version":
        return re.fullmatch(r"[\w.+]*", text, re.ASCII) is not None
    return NAME.fullmatch(text) is not None


def _refused(path: Path, what: str) -> BurnishError:
    return BurnishError(
        f"{path} holds {what}, which burnish does not write: reading it could run code, so it is "
        "not loaded. Export the model again, or use --to onnx"
    )
