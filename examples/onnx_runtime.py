"""Inspect a picture with an exported model: ONNX Runtime, numpy and Pillow, nothing else.

pip install onnxruntime numpy pillow
python onnx_runtime.py model.onnx part.png heat.png     exit code: 0 good, 1 defect, 2 not read
"""

import json
import sys
from typing import NoReturn

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(2)


if len(sys.argv) != 4:
    refuse(__doc__)
model, picture, heat = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["burnish"])

# The graph takes the camera's pixels as they are: uint8, height x width x 1 (grey) or 3 (RGB).
# Of 16 bits give the upper 8.
try:
    with Image.open(picture) as whole:
        whole.verify()  # a PNG's sums: of one that is still being copied the rest would be black
    opened = Image.open(picture)
    opened.load()
except (OSError, SyntaxError) as error:
    refuse(f"{picture} cannot be read: {error}")
tags = getattr(opened, "tag_v2", {})  # of a TIFF: 258 bits, 262 which end is black
if opened.mode.startswith("I;16") and (tags.get(258) == (12,) or tags.get(262) == 0):
    refuse(f"{picture} has 12 bits, or 16 of which 0 is white: save it with 8, or 16 and 0 black")
image = ImageOps.exif_transpose(opened)  # as it was held; so were those of training
if image.mode.startswith("I;16"):
    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
elif image.mode in ("I", "F"):
    refuse(f"{picture} has 32 bits a pixel: give 8 or 16")
image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
pixels = np.asarray(image).reshape(image.height, image.width, -1)

wanted = ["score", "is_defect", "p_value", "anomaly_map"]
score, is_defect, p_value, anomaly_map = session.run(wanted, {"pixels": pixels})

verdict = "defect" if is_defect else "good"
print(f"{verdict} score={score:.6g} threshold={about['threshold']:.6g} p={p_value:.3g}")

# Red grows over the grey picture; the scale is the calibration's, the same for every image.
low, high = about["heat_range"]
warmth = np.clip((anomaly_map - low) / (high - low), 0, 1)[..., None]
grey = np.asarray(image.convert("L"), np.float32)[..., None]
blended = grey * (1 - warmth) + np.array([255, 40, 0], np.float32) * warmth
Image.fromarray(blended.round().astype(np.uint8)).save(heat)
sys.exit(int(is_defect))
