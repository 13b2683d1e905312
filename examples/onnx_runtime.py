"""Inspect a picture with an exported model: ONNX Runtime, NumPy and Pillow, nothing else.

pip install onnxruntime numpy 'pillow>=13'
python onnx_runtime.py model.onnx part.png heat.png     exit code: 0 good, 1 defect, 2 failed

One picture at a time: the last name is written to, and so must have "heat" in it.
"""

import io
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str) -> Image.Image:
    """The picture in mode L or RGB, turned as EXIF says; of 16 bits the upper 8 are kept."""
    data = Path(path).read_bytes()
    Image.open(io.BytesIO(data)).verify()  # a PNG still being copied would be black from there on
    image = Image.open(io.BytesIO(data))
    if image.format in ("JPEG", "MPO") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise OSError("the end of the JPEG is missing: it is damaged, or still being written")
    tags = getattr(image, "tag_v2", {})  # TIFF: 258 is the bit depth, 262 whether 0 is black
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # more than 8 bits
        if image.mode in ("I", "F") or tags.get(258) == (12,) or tags.get(262) == 0:
            raise OSError("it has 32 or 12 bits, or 16 of which 0 is white: save it with 8")
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def inspect(model: str, picture: str, heat: str) -> bool:
    """Print the verdict, write the heat map; returns whether the part has a defect."""
    image = read(picture)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["burnish"])
    # The graph takes the camera's pixels: uint8, height x width x 1 (grey) or 3 (RGB).
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    wanted = ["score", "is_defect", "p_value", "anomaly_map"]
    score, is_defect, p_value, anomaly_map = session.run(wanted, {"pixels": pixels})
    if not np.isfinite(score):
        raise ValueError(f"the score is {score}: the model or this machine is broken")
    verdict, threshold = "defect" if is_defect else "good", about["threshold"]
    print(f"{verdict} score={score:.6g} threshold={threshold:.6g} p={p_value:.3g}")

    low, high = about["heat_range"]  # the calibration's, the same for every picture
    warmth = 255 * np.clip((anomaly_map - low) / (high - low), 0, 1)
    red, grey = Image.new("RGB", image.size, (255, 40, 0)), image.convert("L").convert("RGB")
    Image.composite(red, grey, Image.fromarray(warmth.astype(np.uint8))).save(heat)
    return bool(is_defect)


# A second picture in the place of heat.png would be overwritten.
if len(sys.argv) != 4 or "heat" not in Path(sys.argv[3]).name:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
try:
    sys.exit(int(inspect(*sys.argv[1:])))
except Exception as error:  # Python by itself would end with 1, as for a defect
    print(f"{sys.argv[2]} could not be inspected: {error}", file=sys.stderr)
    sys.exit(2)
