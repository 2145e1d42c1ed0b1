"""Draw a cat, a dog, or anything in between from a handful of numbers (the true factors).

Every animal is a stack of simple shapes. A shape is given by its signed distance: how far a point lies outside it
(negative inside). Distances become soft edges, so that nothing is jagged even at 32x32 pixels. Only the part of the
picture around a shape is worked on. The picture spans -1..1 from left to right and from top to bottom.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]
Numbers = Array | np.floating | float  # one, or one for each picture: (n, 1, 1)
Color = tuple[float, float, float]

# name: (lowest, highest, default), in the order of the columns of the tables
FACTORS: dict[str, tuple[float, float, float]] = {
    "species": (0.0, 1.0, 0.0),  # 0 a cat, 1 a dog, anything between is half of each
    "warmth": (0.0, 1.0, 0.8),  # coat: 0 grey, 1 ginger
    "tone": (0.0, 1.0, 0.6),  # coat: 0 dark, 1 light
    "light": (0.0, 1.0, 0.0),  # 0 day, 1 dusk, over the whole picture
    "x": (-0.06, 0.06, 0.0),  # position of the head, to the right
    "y": (-0.04, 0.04, 0.0),  # position of the head, downwards
    "size": (0.87, 0.97, 0.92),  # scale of the head
    "tilt": (-0.18, 0.18, 0.0),  # radians, clockwise
    "ears": (0.0, 1.0, 0.5),  # 0 short, 1 long
    "muzzle": (0.0, 1.0, 0.5),  # 0 narrow, 1 wide
    "eyes": (0.0, 1.0, 0.5),  # 0 narrowed, 1 wide open
}

_DUSK = (0.64, 0.60, 0.78)  # what dusk leaves of red, green and blue
_LOWER = 0.10  # how far the middle of a head lies below that of the picture
_SKY = (0.80, 0.89, 0.90)
_COATS = {  # (warmth, tone): color
    (0, 0): (0.27, 0.28, 0.33),
    (0, 1): (0.88, 0.88, 0.90),
    (1, 0): (0.50, 0.26, 0.12),
    (1, 1): (0.98, 0.78, 0.46),
}
_PINK, _GREEN, _BROWN = (0.96, 0.60, 0.62), (0.36, 0.72, 0.30), (0.45, 0.25, 0.10)
_DARK, _WHITE, _TONGUE = (0.10, 0.09, 0.12), (1.0, 1.0, 1.0), (0.93, 0.42, 0.47)


class _Shape(NamedTuple):
    """A shape, and the center and radius of a disc that holds it."""

    distance: Callable[[Array, Array], Array]  # from coordinates x, y: how far outside
    x: Numbers
    y: Numbers
    radius: Callable[[Numbers], Numbers]  # of a disc that holds all points no farther outside than this


def _ellipse(cx: Numbers, cy: Numbers, rx: Numbers, ry: Numbers) -> _Shape:
    """Return an axis-parallel ellipse. Its distance is approximate: level set over the length of its gradient."""

    def distance(x: Array, y: Array) -> Array:
        u, v = (x - cx) / rx, (y - cy) / ry
        level = np.hypot(u, v)
        return level * (level - 1) / (np.hypot(u / rx, v / ry) + 1e-6)

    def radius(
        outside: Numbers,
    ) -> Numbers:  # the gradient is at most level / shortest: distance >= shortest (level - 1)
        return np.maximum(rx, ry) * (1 + outside / np.minimum(rx, ry))

    return _Shape(distance, cx, cy, radius)


def _taper(start: tuple[Numbers, Numbers], end: tuple[Numbers, Numbers], r_start: Numbers, r_end: Numbers) -> _Shape:
    """Return a round-ended taper: the tangent hull of a disc at `start` and another at `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = np.hypot(dx, dy)

    def distance(x: Array, y: Array) -> Array:
        along = ((x - start[0]) * dx + (y - start[1]) * dy) / length
        across = np.abs((x - start[0]) * dy - (y - start[1]) * dx) / length
        sine = (r_start - r_end) / length
        cosine = np.sqrt(np.maximum(1 - sine**2, 1e-6))
        flank = across * cosine + along * sine - r_start
        caps_start = np.hypot(across, along) - r_start
        caps_end = np.hypot(across, along - length) - r_end
        position = along * cosine - across * sine  # along the flank, measured from where it touches the first disc
        return np.where(position < 0, caps_start, np.where(position > length * cosine, caps_end, flank))

    def radius(outside: Numbers) -> Numbers:
        return length / 2 + np.maximum(r_start, r_end) + outside

    return _Shape(distance, start[0] + dx / 2, start[1] + dy / 2, radius)


def _mix(a: ArrayLike, b: ArrayLike, t: Array | np.floating) -> Array:
    """Blend linearly from `a` at t = 0 to `b` at t = 1."""
    return (1 - t) * np.asarray(a, np.float32) + t * np.asarray(b, np.float32)


class _Canvas:
    """Pictures (n, 3, side, side) in 0..1 that shapes are painted on, all n at once."""

    def __init__(self, n: int, side: int) -> None:
        steps = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
        self.x, self.y = np.meshgrid(steps, steps)
        self.pixel = 2 / side
        self.color = np.broadcast_to(np.asarray(_SKY, np.float32).reshape(3, 1, 1), (n, 3, side, side)).copy()

    def axes(self, x: Array, y: Array, tilt: Array, size: Array) -> Callable[..., None]:
        """Return a painter in coordinates moved to x, y, rotated by tilt and scaled by size, (n, 1, 1) each.

        The painter takes a shape, a color (3,) or (n, 3), and an opacity.
        """
        sine, cosine = np.sin(tilt), np.cos(tilt)
        right, down = self.x - x, self.y - y - _LOWER
        own_x, own_y = (cosine * right + sine * down) / size, (cosine * down - sine * right) / size

        def paint(shape: _Shape, color: ArrayLike, opacity: ArrayLike = 1.0) -> None:
            opacity = np.asarray(opacity, np.float32)
            if not opacity.any():
                return
            # Only the pixels that the shape may cover in one of the pictures, with a margin of one.
            radius = size * shape.radius(self.pixel / size)
            middle_x = x + size * (cosine * shape.x - sine * shape.y)
            middle_y = y + _LOWER + size * (sine * shape.x + cosine * shape.y)
            here = slice(None), self._span(middle_y, radius), self._span(middle_x, radius)
            distance = shape.distance(own_x[here], own_y[here]) * size  # in the picture's units
            inside = np.clip(0.5 - distance / self.pixel, 0, 1) * opacity  # an edge is one pixel wide
            part = self.color[here[0], :, here[1], here[2]]
            part += inside[:, None] * (np.asarray(color, np.float32).reshape(-1, 3, 1, 1) - part)

        return paint

    def _span(self, middle: Array, radius: Array) -> slice:
        """Return the rows or columns from the lowest middle - radius to the highest middle + radius."""
        first, last = (middle - radius).min(), (middle + radius).max()
        return slice(max(int((first + 1) / self.pixel) - 1, 0), max(int((last + 1) / self.pixel) + 2, 0))


def _draw(f: Mapping[str, Array], side: int) -> Array:
    """Draw pictures (n, side, side, 3) in 0..1 from factors (n,) each."""
    n = len(f["species"])
    canvas = _Canvas(n, side)
    s, warmth, tone, light, ears, muzzle, eyes = (
        f[k].reshape(-1, 1, 1) for k in ("species", "warmth", "tone", "light", "ears", "muzzle", "eyes")
    )
    flat = s.reshape(-1, 1)  # species for colors (n, 3)
    grey = _mix(_COATS[0, 0], _COATS[0, 1], tone.reshape(-1, 1))
    ginger = _mix(_COATS[1, 0], _COATS[1, 1], tone.reshape(-1, 1))
    coat = _mix(grey, ginger, warmth.reshape(-1, 1))
    pale = _mix(coat, _WHITE, np.float32(0.62))

    x, y, zero = f["x"].reshape(-1, 1, 1), f["y"].reshape(-1, 1, 1), np.zeros((1, 1, 1), np.float32)

    # Shoulders stay upright; a pale chest on them.
    upright = canvas.axes(x, y, zero, zero + 1)
    upright(_ellipse(0, 1.06, _mix(0.60, 0.68, s), 0.55), coat * 0.92)
    upright(_ellipse(0, 0.98, 0.26, 0.42), pale)

    # All else is part of the head.
    paint = canvas.axes(x, y, f["tilt"].reshape(-1, 1, 1), f["size"].reshape(-1, 1, 1))

    # Head: a cat's is wide, a dog's long.
    paint(_ellipse(0, 0, _mix(0.66, 0.57, s), _mix(0.55, 0.62, s)), coat)
    paint(_ellipse(0, _mix(0.16, 0.05, s), _mix(0.70, 0.50, s), _mix(0.36, 0.55, s)), coat)

    # Muzzle, pale; a dog's is larger and has a blaze that runs up between the eyes.
    width = _mix(0.26, 0.36, s) * (0.86 + 0.28 * muzzle)
    paint(_taper((0, -0.45), (0, 0.1), 0.05, _mix(0.02, 0.14, s)), pale, s * 0.9)
    paint(_ellipse(0, _mix(0.25, 0.24, s), width, _mix(0.18, 0.31, s)), pale)

    # Mouth and tongue, nose.
    nose_y = _mix(0.13, 0.08, s)
    paint(_ellipse(0, 0.47, 0.11, 0.15), _TONGUE, np.clip(2 * s - 1, 0, 1))
    lip = (0, _mix(0.30, 0.37, s))
    paint(_taper((0, nose_y), lip, 0.022, 0.022), _DARK, 0.8)
    for side_ in (-1, 1):
        corner = (side_ * _mix(0.12, 0.20, s), _mix(0.27, 0.32, s))
        paint(_taper(lip, corner, 0.025, 0.02), _DARK, 0.8)
    paint(_ellipse(0, nose_y, _mix(0.085, 0.16, s), _mix(0.06, 0.115, s)), _mix(_PINK, _DARK, flat))
    paint(_ellipse(_mix(-0.02, -0.05, s), nose_y - 0.04, 0.04, 0.025), _WHITE, 0.55 * s)

    for side_ in (-1, 1):
        # Ears: a cat's stand, pointed, pink inside; a dog's hang, round and darker. Between: they stick out.
        base = (side_ * _mix(0.40, 0.47, s), _mix(-0.33, -0.40, s))
        tip = (
            side_ * _mix(0.53, _mix(0.70, 0.74, ears), s),
            _mix(_mix(-0.76, -0.92, ears), _mix(0.05, 0.36, ears), s),
        )
        paint(_taper(base, tip, _mix(0.245, 0.14, s), _mix(0.03, 0.19, s)), coat * _mix(1.0, 0.58, flat))
        inner = (_mix(base[0], tip[0], np.float32(0.18)), _mix(base[1], tip[1], np.float32(0.30)))
        near_tip = (_mix(base[0], tip[0], np.float32(0.82)), _mix(base[1], tip[1], np.float32(0.80)))
        paint(_taper(inner, near_tip, 0.135, 0.02), _PINK, np.clip(1 - 1.4 * s, 0, 1))

        # Eyes: a cat's are green with a slit, a dog's brown and round. A spark in each.
        ex, ey = side_ * _mix(0.29, 0.25, s), _mix(-0.08, -0.12, s)
        open_ = 0.78 + 0.44 * eyes
        paint(
            _ellipse(ex, ey, _mix(0.155, 0.125, s), _mix(0.135, 0.13, s) * open_),
            _mix(_GREEN, _BROWN, flat),
        )
        paint(_ellipse(ex, ey, _mix(0.05, 0.085, s), _mix(0.115, 0.09, s) * open_), _DARK)
        paint(_ellipse(ex + 0.045, ey - 0.05, 0.035, 0.035), _WHITE, 0.9)

        # Whiskers, for cats.
        for dy in (-0.03, 0.07):
            ends = (side_ * 0.30, 0.24 + dy), (side_ * 0.74, 0.20 + 2.4 * dy)
            paint(_taper(*ends, 0.012, 0.008), _WHITE, 0.75 * np.clip(1 - 2 * s, 0, 1))

    lit = _mix(np.float32(1), _DUSK, light[..., None])
    return np.ascontiguousarray(canvas.color.transpose(0, 2, 3, 1)) * lit


def draw_many(factors: Mapping[str, ArrayLike], size_px: int = 32) -> NDArray[np.uint8]:
    """Draw one picture for each row of factors.

    Args:
        factors: name -> n numbers. The names and ranges are those of `FACTORS`, all of them needed.
        size_px: Width and height of a picture in pixels.

    Returns:
        A uint8 array (n, size_px, size_px, 3), red, green, blue, in steps of 3 (invisible, and files are smaller).
    """
    columns = {name: np.asarray(factors[name], np.float32).reshape(-1) for name in FACTORS}
    n = len(columns["species"])
    parts = []
    for start in range(0, n, 50):  # a few at a time: they fit into the processor's cache
        fine = _draw({name: values[start : start + 50] for name, values in columns.items()}, 2 * size_px)
        coarse = fine.reshape(-1, size_px, 2, size_px, 2, 3).mean((2, 4))  # drawn twice as fine: softer edges
        parts.append(3 * np.clip(coarse * 85 + 0.5, 0, 85).astype(np.uint8))
    return np.concatenate(parts)


def draw(size_px: int = 32, **factors: float) -> NDArray[np.uint8]:
    """Draw one animal from its true factors, for example `draw(species=0.5, ears=1)`.

    Args:
        size_px: Width and height in pixels, 8 to 1024.
        factors: Any of the names in `FACTORS`; the others take their usual value.

    Returns:
        A uint8 array (size_px, size_px, 3), red, green, blue.

    Raises:
        ValueError: An unknown factor, one outside its range, or a size outside 8..1024.
    """
    if not 8 <= size_px <= 1024:
        raise ValueError(f"size_px is {size_px}; a picture can be 8 to 1024 pixels wide.")
    for name, value in factors.items():
        if name not in FACTORS:
            raise ValueError(f"There is no factor {name!r}; the factors are {', '.join(FACTORS)}.")
        low, high, _ = FACTORS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; it must lie between {low} and {high}.")
    row = {name: [factors.get(name, usual)] for name, (_, _, usual) in FACTORS.items()}
    return draw_many(row, size_px)[0]
