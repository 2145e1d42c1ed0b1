"""People with any color vision can tell the colors of the classes apart."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_utils import plots

Vector = NDArray[np.float64]

# Machado, Oliveira & Fernandes (2009), "A physiologically-based model for simulation of color vision deficiency":
# severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 8.5  # CIEDE2000


def linear(color: str) -> Vector:
    """Return linear RGB of an sRGB color such as #D98200."""
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast_with_white(color: str) -> float:
    """Return the contrast ratio of the Web Content Accessibility Guidelines."""
    return 1.05 / ((TO_XYZ @ linear(color))[1] + 0.05)


def lab(rgb: Vector) -> Vector:
    """Return CIE L*a*b* of linear RGB, white being (1, 1, 1)."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ciede2000(first: Vector, second: Vector) -> float:
    """Return the color difference of two L*a*b* colors (Sharma, Wu & Dalal, 2005, equations 2 to 22)."""
    lightness, a, b = np.stack([first, second], 1)
    grey = (np.hypot(a, b).mean() ** 7 / (np.hypot(a, b).mean() ** 7 + 25.0**7)) ** 0.5
    a = a * (1.5 - 0.5 * grey)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    turn = (hue[1] - hue[0] + 180) % 360 - 180 if chroma.all() else 0.0
    middle = (hue[0] + turn / 2) % 360 if chroma.all() else hue.sum() % 360
    wave = sum(
        weight * np.cos(np.radians(times * middle - shift))
        for weight, times, shift in ((-0.17, 1, 30), (0.24, 2, 0), (0.32, 3, -6), (-0.20, 4, 63))
    )
    light, mean = (lightness.mean() - 50) ** 2, chroma.mean()
    d_light = (lightness[1] - lightness[0]) / (1 + 0.015 * light / (20 + light) ** 0.5)
    d_chroma = (chroma[1] - chroma[0]) / (1 + 0.045 * mean)
    d_hue = 2 * chroma.prod() ** 0.5 * np.sin(np.radians(turn / 2)) / (1 + 0.015 * mean * (1 + wave))
    rotation = 2 * (mean**7 / (mean**7 + 25.0**7)) ** 0.5
    rotation *= np.sin(np.radians(60 * np.exp(-(((middle - 275) / 25) ** 2))))
    return float((d_light**2 + d_chroma**2 + d_hue**2 - rotation * d_chroma * d_hue) ** 0.5)


@pytest.mark.parametrize("vision", VISION)
def test_classes_are_told_apart(vision: str) -> None:
    seen = {color: lab(VISION[vision] @ linear(color)) for color in plots.CLASSES}
    assert len(seen) == 10
    distances = {pair: ciede2000(seen[pair[0]], seen[pair[1]]) for pair in combinations(seen, 2)}
    assert {pair: distance for pair, distance in distances.items() if distance < APART} == {}


def test_classes_stand_out_from_white_but_for_two() -> None:
    faint = {color for color in plots.CLASSES if contrast_with_white(color) < 3}
    assert faint == {plots.ORANGE, plots.SKY}
    assert contrast_with_white(plots.ORANGE) > 2.9 and contrast_with_white(plots.SKY) > 2.3


# The measures themselves


@pytest.mark.parametrize(
    ("first", "second", "distance"),  # from table 1 of Sharma, Wu & Dalal (2005)
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000(first: tuple[float, ...], second: tuple[float, ...], distance: float) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(distance, abs=1e-4)


def test_white_black_and_the_colors_that_a_deficiency_leaves_as_they_are() -> None:
    assert lab(linear("#FFFFFF")) == pytest.approx([100, 0, 0], abs=1e-6)
    assert contrast_with_white("#000000") == pytest.approx(21) and contrast_with_white("#FFFFFF") == pytest.approx(1)
    for matrix in VISION.values():
        assert matrix.sum(1) == pytest.approx(1, abs=1e-5)  # greys stay


def test_red_and_green_look_alike_with_deuteranopia() -> None:
    red, green = linear("#B05000"), linear("#7A7000")
    apart = {name: ciede2000(lab(matrix @ red), lab(matrix @ green)) for name, matrix in VISION.items()}
    assert apart["normal"] > 25 and apart["deuteranopia"] < 5
