"""A real, simple detector without a network (the part repainted by a median filter); a browser."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from burnish.configuration import make_settings
from burnish.detection.calibration import Calibration
from burnish.detection.locate import find_regions
from burnish.detection.ranges import (
    TrainingRange,
    find_unlike,
    learn_ranges,
    prepared_statistics,
)
from burnish.detection.result import Result, Speed
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation
from burnish.images.reader import read_image, to_channels
from burnish.images.synthetic.synth import write_dataset
from burnish.method.generator import InputShape
from burnish.settings import Settings

HOSTILE = '<img src=x onerror=alert(1)> & "quoted" {{ 7*7 }}.png'


@dataclass(frozen=True)
class SimpleCard:
    preset: str
    settings: Settings
    shape: InputShape
    calibration: Calibration
    data: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str]
    ranges: dict[str, TrainingRange]


class MedianDetector:
    """Thin dark or bright marks stand out against the 11 x 11 median; score: the highest error."""

    def __init__(self, good: list[Path], false_alarms: float, path: Path | None = None) -> None:
        maps = [self.error_map(read_image(p))[1] for p in good]
        peaks = sorted(float(m.max()) for m in maps)
        self.path = path
        self.inspected: list[Path] = []
        self.card = SimpleCard(
            preset="tiny",
            settings=make_settings("tiny", {"false_alarms": false_alarms, "seed": 5}),
            shape=InputShape(1, 128, 128),
            calibration=Calibration(
                mu=(float(np.mean(maps)),),
                sigma=(float(np.std(maps)),),
                scores=tuple(peaks),
                peaks=tuple(peaks),
                heat_low=float(np.percentile(maps, 99)),
                false_alarms=false_alarms,
            ),
            data={"folder": "data/metal", "training_images": 0, "held_out_images": len(good),
                  "skipped": [], "sizes": [[128, 128]], "held_out": [p.name for p in good]},
            training={"steps": 0, "seconds": 83.4, "last_losses": {"l1": 0.1}},
            versions={"burnish": "0.1.0", "python": "3.11"},
            ranges=learn_ranges(prepared_statistics(read_image(p)[None]) for p in good),
        )  # fmt: skip

        self.threshold = self.card.calibration.threshold

    @staticmethod
    def error_map(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        grey = to_channels(image, 1)
        painted = ndimage.median_filter(grey, 11, mode="nearest")
        error = np.abs(grey.astype(np.float32) - painted.astype(np.float32)) / 255
        return painted, ndimage.gaussian_filter(error, 1.5)

    def inspect(self, source: Path | NDArray[np.uint8], /) -> Result:
        start = time.perf_counter()
        image = read_image(source)
        read = time.perf_counter()
        painted, error = self.error_map(image)
        done = time.perf_counter()
        path = source if isinstance(source, Path) else None
        if path is not None:
            self.inspected.append(path)
        statistics = prepared_statistics(to_channels(image, 1)[None])
        calibration, score = self.card.calibration, float(error.max())
        regions, peak = find_regions(error, calibration.pixel_threshold, *image.shape[:2])
        return Result(
            path=path,
            is_defect=score > self.threshold,
            score=score,
            threshold=calibration.threshold,
            p_value=calibration.p_value(score),
            regions=regions,
            peak=peak,
            block=8,
            scale_scores=(1.0, 2.0, 3.0),
            evidence="blocks of 8 px",
            anomaly_map=error,
            reconstruction=painted,
            image=image,
            heat_range=calibration.heat_range,
            pixel_threshold=calibration.pixel_threshold,
            speed=Speed(1000 * (read - start), 0.0, 1000 * (done - read), 0.0),
            statistics=statistics,
            out_of_range=find_unlike(statistics, self.card.ranges),
        )


@pytest.fixture(scope="session")
def simple() -> Callable[..., MedianDetector]:
    """Calibrate the simple detector on `data/train/good`."""

    def calibrated(
        data: Path, false_alarms: float = 0.1, path: Path | None = None
    ) -> MedianDetector:
        return MedianDetector(sorted((data / "train/good").iterdir()), false_alarms, path)

    return calibrated


@pytest.fixture(scope="session")
def hostile_metal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a hostile file name, a hostile kind, and one file that is no image."""
    folder = tmp_path_factory.mktemp("data") / "metal"
    write_dataset(folder, train=20, good=12, defects=15, size=(64, 64), seed=1)
    shutil.copy(folder / "test/crack/000.png", folder / "test/crack" / HOSTILE)
    (folder / "test/<b>odd$kind").mkdir()
    shutil.copy(folder / "test/crack/001.png", folder / "test/<b>odd$kind/0.png")
    (folder / "test/dent/broken.png").write_text("<script>alert(2)</script>")
    return folder


@pytest.fixture(scope="session")
def evaluation(hostile_metal: Path, simple: Callable[..., MedianDetector]) -> Evaluation:
    return evaluate(simple(hostile_metal), hostile_metal)


class Browser:
    """Debian's Chromium through chromedriver's own HTTP interface (W3C WebDriver): no library.

    It can reach nothing but this machine: the pages must work without a network anyhow.
    """

    def __init__(self, driver: str, chromium: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.base = f"http://127.0.0.1:{port}"
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]  # fmt: skip
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        try:
            self._wait()
            session = self.call("/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self.process.kill()
            raise
        self.base += f"/session/{session['sessionId']}"

    def call(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """One command; what WebDriver calls an error raises `urllib.error.HTTPError`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path, width: int = 1280, dark: bool = False) -> None:
        """Show a page and forget what the console said before."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip
        self.console()
        self.call("/url", {"url": page.as_uri()})

    def devtools(self, command: str, **params: Any) -> Any:
        return self.call("/goog/cdp/execute", {"cmd": command, "params": params})

    def console(self) -> list[str]:
        """What the console said since last asked: errors, warnings and messages alike."""
        return [entry["message"] for entry in self.call("/se/log", {"type": "browser"})]

    def js(self, script: str, *args: Any) -> Any:
        """Run a function body in the page."""
        return self.call("/execute/sync", {"script": script, "args": list(args)})

    def press(self, element: str, *keys: str) -> None:
        """Focus the element of this id with the keyboard's focus and type."""
        self.js("document.getElementById(arguments[0]).focus()", element)
        down = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("/actions", {"actions": [{"type": "key", "id": "keys", "actions": down}]})

    def click(self, element: str) -> None:
        found = self.call("/element", {"using": "css selector", "value": f"#{element}"})
        self.call(f"/element/{next(iter(found.values()))}/click", {})

    def text(self, element: str) -> str:
        return str(self.js("return document.getElementById(arguments[0]).textContent", element))

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.call("", method="DELETE")
        self.process.terminate()
        self.process.wait(10)

    def _wait(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                if self.call("/status")["ready"]:
                    return
            time.sleep(0.1)
        raise TimeoutError("chromedriver does not answer")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("no chromium and chromedriver here (Debian: chromium, chromium-driver)")
    browser = Browser(driver, chromium, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """A copy of the test module's own `data`, to change."""
    return Path(shutil.copytree(data, tmp_path / "metal"))
