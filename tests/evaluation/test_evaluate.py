"""Evaluation of a real, simple detector: one whose numbers can be worked out by hand."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation, save_json, save_scores
from burnish.evaluation.summary import cautions, summary, verdict

sys.path.insert(0, str(Path(__file__).parent))
