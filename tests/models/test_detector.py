from __future__ import annotations

import pytest
import torch

from ocrtool.errors import UsageError
from ocrtool.models.detector import DetectorConfig, DetectorNet

SMALL = DetectorConfig(stem=8, widths=(8, 16, 16, 24), blocks=(1, 1, 1, 0), neck=16)


@pytest.fixture(scope="module")
def net() -> DetectorNet:
    """A small network whose normalisations have seen something."""
    torch.manual_seed(0)
    net = DetectorNet(SMALL).train()
    for _ in range(5):
        net(2 * torch.randn(2, 1, 96, 96))
    for head in (net.text, net.regions):
        torch.nn.init.normal_(head.weight, std=0.2)
    return net.eval().requires_grad_(False)


def test_the_network_that_ships_has_the_planned_size() -> None:
    assert 1e6 < DetectorNet(DetectorConfig()).num_parameters() < 3e6


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 160), (224, 96)])
def test_maps_have_their_strides(net: DetectorNet, height: int, width: int) -> None:
    maps = net(torch.randn(2, 1, height, width))
    assert maps.kernel.shape == (2, 1, height // 2, width // 2)
    assert maps.geometry.shape == (2, 3, height // 4, width // 4)
    assert maps.regions.shape == (2, 4, height // 4, width // 4)


def test_an_image_looks_the_same_in_any_batch(net: DetectorNet) -> None:
    images = torch.randn(4, 1, 64, 96)
    together = net(images)
    for i in range(4):
        for whole, alone in zip(together, net(images[i : i + 1]), strict=True):
            assert torch.allclose(whole[i], alone[0], atol=1e-4)


def test_what_is_far_away_does_not_matter(net: DetectorNet) -> None:
    image = torch.randn(1, 1, 64, 352)
    wide = torch.cat((image, torch.zeros(1, 1, 64, 352)), dim=3)
    other = torch.cat((image, torch.randn(1, 1, 64, 352)), dim=3)
    for a, b in zip(net(wide), net(other), strict=True):
        near = a.shape[3] * 96 // 704
        assert torch.allclose(a[..., :near], b[..., :near], atol=1e-4)
        assert not torch.allclose(a, b, atol=1e-2)


def test_folding_changes_nothing_but_the_layers(net: DetectorNet) -> None:
    copy = DetectorNet(SMALL)
    copy.load_state_dict(net.state_dict())
    image = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        for a, b in zip(net(image), copy.fold()(image), strict=True):
            assert torch.allclose(a, b, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in copy.modules())


def test_geometry_survives_json_and_mistakes_are_told() -> None:
    assert DetectorConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(UsageError, match="four stages"):
        DetectorConfig(widths=(8, 8))
    with pytest.raises(UsageError, match="above zero"):
        DetectorConfig(neck=0)
    with pytest.raises(UsageError, match="geometry"):
        DetectorConfig.from_dict({"depth": 3})
