"""Colours as seen with and without one kind of cone, and how far apart they are."""

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

Float = NDArray[np.float64]
VISIONS = {  # of linear RGB, severity 1 (Machado, Oliveira, Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291, 2009)
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = TO_XYZ @ np.ones(3)


def linear(colour: object) -> Float:
    """Linear RGB (3,) of anything that matplotlib takes for an sRGB colour."""
    c = np.array(to_rgb(colour))  # type: ignore[arg-type]
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(colour: object, vision: str) -> Float:
    """CIELAB (3,) of a colour as an eye sees it, D65."""
    xyz = TO_XYZ @ np.clip(VISIONS[vision] @ linear(colour), 0, 1) / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a: object, b: object, vision: str) -> float:
    """CIE 1976 colour difference; one can just be seen at about 2.3."""
    return float(np.linalg.norm(lab(a, vision) - lab(b, vision)))


def contrast_with_white(colour: object) -> float:
    """Ratio of luminances, as the Web Content Accessibility Guidelines define it."""
    return 1.05 / (float(TO_XYZ[1] @ linear(colour)) + 0.05)
