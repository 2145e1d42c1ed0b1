"""The parts that kernel widgets share: their output, a figure with few moving parts, and checks of models.

A kernel widget asks Python for each new picture. To answer at once, it draws its figure a single time; on a move, it
draws only the moving parts, over a copy of the rest. The page gets one whole picture, the background, and then, as PNG,
only the parts that differ from it. While a control rests, the pictures one step away from it are drawn ahead. Uses only
what ipywidgets 7.7 and 8 share.

The picture is an `HTML` widget, not an `Image` widget: the latter has no alternative text.
"""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import ipywidgets
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import display
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..data import Dataset
from ..types import LatentModel

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIEW = "application/vnd.jupyter.widget-view+json"
NOTE = "This figure needs a running kernel: run this cell to move it."
LOST = "The kernel has stopped. This is the last picture that it drew: start the kernel again and run this cell."
TILE = 5  # pixels of a PNG, 4 on the page: parts of a picture start and end at multiples of it, so they fit exactly
DENSITY = TILE / 4
DPI = round(100 * DENSITY)
GAP = 8  # tiles: parts closer than this are sent as one, since each part costs time
PAUSE = 0.1  # seconds: changing the text at every move would delay the pictures, and no screen reader could follow
INK = "var(--jp-ui-font-color1, inherit)"  # color of texts, on JupyterLab's light and dark pages and elsewhere
NO_PIXELS = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
# Runs in the page once `NO_PIXELS` is loaded. ipywidgets adds and changes parts one by one, hence the observer.
SCRIPT = """
const start = this;
let tries = 0;
(function begin() {
  const box = start.closest('.vae-figure');
  if (!box) { if (tries++ < 200) setTimeout(begin, 50); return; }
  function describe() {
    for (const slider of box.querySelectorAll('.widget-slider')) {
      const name = slider.querySelector('.widget-label');
      const handle = slider.querySelector('.noUi-handle, .ui-slider-handle');
      const value = slider.querySelector('.widget-readout');
      if (!name || !handle || !value) continue;
      handle.setAttribute('aria-label', name.textContent);
      handle.setAttribute('aria-valuetext', value.textContent);
      value.setAttribute('aria-label', name.textContent + ', as text');
      if (value.isContentEditable) value.setAttribute('role', 'textbox');
    }
    for (const part of box.querySelectorAll('.vae-readout .widget-html-content')) {
      part.setAttribute('role', 'status');
    }
  }
  describe();
  new MutationObserver(describe).observe(box, {childList: true, subtree: true});
})();
"""

# --- Output ----------------------------------------------------------------------------------------------------------


def bundle(widget: ipywidgets.Widget, html: str, text: str, note: str = NOTE) -> dict[str, Any]:
    """Return a widget's MIME bundle, for `display(..., raw=True)`.

    With a running kernel, the page shows the widget. Without one (a notebook just opened, GitHub, an exported page) it
    shows `html` with `note` below it, or `text` if it shows no HTML. An <img> in `html` needs its `alt`.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    static = f'{html}\n<p style="margin: 4px 0"><em>{escape(note)}</em></p>' if note else html
    return {VIEW: view, "text/html": static, "text/plain": text}


def show(widget: ipywidgets.Widget, html: str, text: str, note: str = NOTE) -> None:
    """Display a widget as `bundle` describes."""
    display(bundle(widget, html, text, note), raw=True)


def picture_html(picture: NDArray[np.uint8], alt: str) -> str:
    """Return an <img> that holds a picture's bytes, on a white background, small enough for a notebook's file.

    Args:
        picture: RGBA, (H, W, 4), with alpha 255. `DENSITY` of its pixels make one on the page; it is reduced to 256
            colors.
        alt: Its alternative text.
    """
    encoded = io.BytesIO()
    colors = Image.fromarray(picture).convert("RGB")
    colors.quantize(256, dither=Image.Dither.NONE).save(encoded, "PNG", optimize=True)
    height, width = (round(side / DENSITY) for side in picture.shape[:2])
    return (
        f'<img src="{address(encoded.getvalue())}" alt="{escape(alt)}" width="{width}" height="{height}" '
        'style="max-width: 100%; height: auto; display: block; background: white">'
    )


def address(png: bytes) -> str:
    """Return a PNG file as a data: URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


class Background:
    """The first picture of a widget, sent to the page once, as the background of a CSS class.

    Args:
        picture: RGBA, (H, W, 4), with alpha 255. Later pictures must have the same size.
    """

    def __init__(self, picture: NDArray[np.uint8]):
        self.picture, self.name = picture, f"vae-ground-{secrets.token_hex(8)}"  # unique: the page may hold others
        height, width = (round(side / DENSITY) for side in picture.shape[:2])
        self.style = (
            f"<style>.{self.name} {{position: relative; width: {width}px; max-width: 100%; "
            f"aspect-ratio: {width} / {height}; print-color-adjust: exact; "
            f"background: white url({address(quick_png(picture))}) 0 0 / 100% 100%}} "
            ".vae-picture .widget-html-content {flex: 1 1 0; min-width: 0}</style>"  # a narrow page makes it smaller
        )

    def overlay(self, picture: NDArray[np.uint8], alt: str) -> str:
        """Return a picture as HTML for a page that has `style`: each part that differs is an <img> in its place."""
        height, width = picture.shape[:2]
        parts = "".join(
            f'<img src="{address(quick_png(picture[top:bottom, left:right]))}" alt="" decoding="sync" style="position: '
            f"absolute; margin: 0; max-width: none; left: {100 * left / width:.4f}%; top: {100 * top / height:.4f}%; "
            f'width: {100 * (right - left) / width:.4f}%; height: {100 * (bottom - top) / height:.4f}%">'
            for left, top, right, bottom in changed(self.picture, picture)
        )
        return f'<div class="{self.name}" role="img" aria-label="{escape(alt)}">{parts}</div>'


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Return boxes (left, top, right, bottom) in pixels, from left to right, that hold all differing pixels.

    Both pictures are (H, W, 4). The boxes' sides are multiples of `TILE`.
    """
    differ = (before.view(np.uint32) != after.view(np.uint32))[:, :, 0]
    columns = np.unique(np.flatnonzero(differ.any(0)) // TILE)
    parts = []
    for part in np.split(columns, np.flatnonzero(np.diff(columns) > GAP) + 1):
        if part.size:
            left, right = TILE * part[0], TILE * (part[-1] + 1)
            rows = np.flatnonzero(differ[:, left:right].any(1)) // TILE
            parts.append((int(left), int(TILE * rows[0]), int(right), int(TILE * (rows[-1] + 1))))
    return parts


def quick_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode the colors of a picture (H, W, 4) as a PNG file, faster than Pillow does: no filters, compression 1."""
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with its filter: 0, none
    for channel in range(3):  # ten times as fast as all at once
        rows[:, 1 + channel :: 3] = picture[:, :, channel]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits of red, green and blue
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.data, 1)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def readout_html(text: str) -> str:
    """Return `text` as HTML, line by line, legible on light and dark pages."""
    lines = "\n".join(f"<div>{escape(line)}</div>" for line in text.splitlines())
    return f'<div style="line-height: 1.45; color: {INK}">{lines}</div>'


def describe_parts(box: ipywidgets.Box) -> None:
    """Add what ipywidgets leaves out, as a last part of a widget's outermost box that is invisible at first.

    Sliders get names for screen readers, texts with the class vae-readout are announced when they change, and a line
    appears when the page has lost its kernel. On a page that refuses scripts, the first two are missing.
    """
    style = (
        "<style>.vae-lost {display: none} .jupyter-widgets-disconnected .vae-lost, "
        f".jupyter-widgets-disconnected.vae-lost {{display: block; font-weight: bold; color: {INK}}}</style>"
    )
    script = f'<img src="{NO_PIXELS}" alt="" hidden onload="{escape(" ".join(SCRIPT.split()))}">'
    part = ipywidgets.HTML(f'{style}<div class="vae-lost">{escape(LOST)}</div>{script}')
    part.add_class("vae-readout")
    box.children = (*box.children, part)
    box.add_class("vae-figure")


class Frame(NamedTuple):
    """The state of a widget: a picture, its alternative text, and the text below it."""

    picture: NDArray[np.uint8]  # RGBA, (H, W, 4), with alpha 255; all frames of a widget have one size
    alt: str
    text: str


class KernelFigure:
    """Controls, a picture that follows them, and a text that says what is shown.

    Args:
        controls: What the reader moves; `render` is called when the `value` of one changes.
        render: (the controls' values) -> Frame, without side effects, since it is also called for values that no
            control has yet. It is called once here, so errors surface at once. Later, an error's message replaces the
            text, and the picture stays.
        layout: The controls as they are laid out; None puts them in rows.
        moved: Called after a change, before it is drawn.
    """

    def __init__(
        self,
        controls: Sequence[ipywidgets.Widget],
        render: Callable[..., Frame],
        layout: ipywidgets.Widget | None = None,
        moved: Callable[[], None] | None = None,
    ):
        self.controls, self.render, self.moved = tuple(controls), render, moved
        self._timer: asyncio.Handle | None = None  # what waits until the controls rest
        self._ahead: dict[tuple, tuple[Frame, str]] = {}  # rounded values of the controls -> what is drawn ahead
        self.picture, self.readout = ipywidgets.HTML(), ipywidgets.HTML()
        for part in (self.picture, self.readout):
            part.layout.max_width = "100%"
        self.frame = render(*self.values())
        self.background = Background(self.frame.picture)
        self._show(self.frame)
        for control in self.controls:
            control.observe(self._on_move, names="value")
        layout = layout if layout is not None else row(*self.controls)
        self.picture.add_class("vae-picture")
        self.readout.add_class("vae-readout")
        style = ipywidgets.HTML(self.background.style, layout={"display": "none"})
        self.box = ipywidgets.VBox([style, layout, self.picture, self.readout])
        describe_parts(self.box)

    def values(self) -> tuple:
        """Return the controls' values, in order."""
        return tuple(control.value for control in self.controls)

    def redraw(self) -> None:
        """Render the present values again."""
        self._schedule(None)
        self.discard_ahead()
        self._draw()

    def discard_ahead(self) -> None:
        """Discard what was drawn ahead, because `render` would now return something else."""
        self._ahead.clear()

    def _on_move(self, change: Mapping[str, Any]) -> None:
        """Show the picture after a move; the text follows once the controls rest."""
        if self.moved is not None:
            self.moved()
        if not hasattr(get_ipython(), "kernel"):
            self._draw()
            return
        drawn = self._ahead.get(rounded(self.values()))
        self.discard_ahead()  # after this move, the same values may look different
        if drawn is None:
            self._draw(text=False)
        else:
            self.frame, self.picture.value = drawn
        self._schedule(self._settle, change["owner"], change["old"], seconds=PAUSE)

    def _settle(self, control: ipywidgets.Widget, old: object) -> None:
        """Draw again, with the text, as what was drawn ahead may be out of date; then draw ahead, onward first."""
        self._draw()
        values = sorted(steps_from(control), key=lambda value: rounded([value]) == rounded([old]))
        self._schedule(self._draw_ahead, control, values)

    def _draw_ahead(self, control: ipywidgets.Widget, steps: list) -> None:
        """Draw what a control will show at the first of these values; then, if nothing else happened, at the others."""
        if not steps:
            return
        values = tuple(steps[0] if other is control else other.value for other in self.controls)
        with suppress(Exception):  # an error is shown once the control has this value
            frame = self.render(*values)
            self._ahead[rounded(values)] = frame, self.background.overlay(frame.picture, frame.alt)
        self._schedule(self._draw_ahead, control, steps[1:])

    def _schedule(self, call: Callable[..., None] | None, *arguments: object, seconds: float = 0) -> None:
        """Call a function later, in place of the one that was to be called; None only cancels that one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if call is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, call, *arguments)

    def _draw(self, text: bool = True) -> None:
        try:
            self.frame = self.render(*self.values())
            self._show(self.frame, text)
        except Exception as error:  # the reader must learn why the picture no longer moves
            self.readout.value = readout_html(f"This could not be drawn: {error}")

    def _show(self, frame: Frame, text: bool = True) -> None:
        self.picture.value = self.background.overlay(frame.picture, frame.alt)
        if text:
            self.readout.value = readout_html(frame.text)

    def static(self) -> str:
        """Return the present state as HTML that needs no kernel."""
        return picture_html(self.frame.picture, self.frame.alt) + readout_html(self.frame.text)

    def _ipython_display_(self) -> None:
        show(self.box, self.static(), f"[Figure: {self.frame.alt}]\n{self.frame.text}")


# --- Controls --------------------------------------------------------------------------------------------------------


def slider(name: str, low: float, high: float, value: float, step: float = 0.1) -> ipywidgets.FloatSlider:
    """Return a slider for a number, labeled with its name, that reports every value it passes."""
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=name,
        continuous_update=True,
        readout_format=".2f" if step < 0.1 else ".1f",
        style={"description_width": "initial"},
        layout={"width": "300px", "max_width": "100%"},
    )


def row(*controls: ipywidgets.Widget) -> ipywidgets.Box:
    """Return controls side by side; they wrap on a narrow page."""
    return ipywidgets.HBox(controls, layout={"flex_flow": "row wrap", "align_items": "center"})


def rounded(values: Sequence) -> tuple:
    """Return values of controls for comparison: page and Python round a slider's steps differently."""
    return tuple(round(value, 9) if isinstance(value, float) else value for value in values)


def steps_from(control: ipywidgets.Widget) -> list:
    """Return the values that a control may have after one step."""
    if isinstance(control, ipywidgets.Checkbox):
        return [not control.value]
    if isinstance(control, ipywidgets.SelectionSlider):
        values = [value for _, value in control.options]
        return [values[i] for i in (control.index - 1, control.index + 1) if 0 <= i < len(values)]
    steps = (round(control.value + step, 9) for step in (-control.step, control.step))
    return [value for value in steps if control.min <= value <= control.max]


# --- A figure with few moving parts ----------------------------------------------------------------------------------


@contextmanager
def course_style() -> Iterator[None]:
    """Use the course's style within the block, whatever the notebook has set, and restore the notebook's afterwards."""
    import matplotlib as mpl

    from ..plots import use_style

    with mpl.rc_context():
        use_style()
        yield


class Sheet:
    """A matplotlib figure that draws everything but its moving artists only once.

    Args:
        figure: Made by `new_figure`.
        moving: The artists that each `image` draws again, over the rest.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure, self.moving = figure, tuple(moving)
        self.canvas = FigureCanvasAgg(figure)
        for artist in self.moving:
            artist.set_animated(True)
        self._background: dict[object, Any] = {}
        self._pasted: list[tuple[tuple[int, int, int, int], NDArray[np.uint8]]] = []
        self._places: dict[Axes, tuple[int, int, int, int]] = {}
        self.refresh()

    def refresh(self, key: object = None) -> None:
        """Draw again what does not move, after a change of it; a state named `key` is drawn once and then kept."""
        if key is None or key not in self._background:
            self.canvas.draw()
            self.figure.set_layout_engine("none")  # from now on, everything keeps its place
            self._background[key] = self.canvas.copy_from_bbox(self.figure.bbox)
        self._key = key

    def image(self) -> NDArray[np.uint8]:
        """Draw the figure as it is now: RGBA, (H, W, 4), with alpha 255."""
        self.canvas.restore_region(self._background[self._key])
        for artist in self.moving:
            self.figure.draw_artist(artist)
        image = np.array(self.canvas.buffer_rgba())  # a copy: the canvas will be drawn on again
        for (left, top, width, height), picture in self._pasted:
            enlarged = picture.repeat(height // picture.shape[0], 0).repeat(width // picture.shape[1], 1)
            image[top : top + height, left : left + width, :3] = enlarged
        return image

    def place(self, ax: Axes) -> tuple[int, int, int, int]:
        """Return the place of an axes in the image, in pixels: left, top, width, height."""
        box = ax.get_window_extent()
        left, right = round(box.x0), round(box.x1)
        top, bottom = round(self.figure.bbox.height - box.y1), round(self.figure.bbox.height - box.y0)
        return left, top, right - left, bottom - top

    def paste(self, pictures: Mapping[Axes, Tensor]) -> None:
        """Fill each axes, made by `picture_axes`, with a picture (C, H, W) in [0, 1] from now on."""
        for ax in pictures.keys() - self._places.keys():  # each place is computed once
            self._places[ax] = self.place(ax)
        self._pasted = [(self._places[ax], to_bytes(picture)) for ax, picture in pictures.items()]


def to_bytes(picture: Tensor) -> NDArray[np.uint8]:
    """Convert a picture (C, H, W) in [0, 1] to (H, W, 3) in 0..255, rounded and clipped."""
    array = (picture.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def new_figure(width: float, height: float, layout: Literal["constrained", "none"] = "constrained") -> Figure:
    """Return an empty figure of this size in inches (100 pixels of the page each) that no notebook shows by itself.

    Its sides are rounded to whole tiles.
    """
    from matplotlib.figure import Figure

    sides = (round(width * DPI / TILE) * TILE / DPI, round(height * DPI / TILE) * TILE / DPI)
    figure = Figure(figsize=sides, dpi=DPI, facecolor="white")
    figure.set_layout_engine(layout)
    return figure


def at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add an axes at a place in inches from the lower left corner, moved onto whole pixels."""
    size = figure.get_size_inches()
    corner = [round(place * DPI) / DPI for place in (left, bottom)]
    return figure.add_axes((corner[0] / size[0], corner[1] / size[1], width / size[0], height / size[1]))


def picture_size(shape: Sequence[int], wanted: float) -> tuple[float, float]:
    """Return width and height in inches, near `wanted`, that show each pixel of a picture (C, H, W) as whole pixels."""
    times = max(1, round(wanted * DPI / max(shape[1:])))
    return times * shape[2] / DPI, times * shape[1] / DPI


def picture_axes(figure: Figure, left: float, bottom: float, shape: Sequence[int], wanted: float) -> Axes:
    """Add an axes without ticks or frame for a picture (C, H, W) of about `wanted` inches."""
    ax = at(figure, left, bottom, *picture_size(shape, wanted))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def strip(
    figure: Figure, left: float, bottom: float, shape: Sequence[int], wanted: float, n: int, name: str
) -> list[Axes]:
    """Add axes for n pictures in a row, with a name to the left of them."""
    step = picture_size(shape, wanted)[0] + 0.06
    row = [picture_axes(figure, left + i * step, bottom, shape, wanted) for i in range(n)]
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return row


# --- Models ----------------------------------------------------------------------------------------------------------


def device_of(model: LatentModel) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device


@torch.no_grad()
def encode_cloud(model: LatentModel, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return codes (n, latent_dim) of pictures, and the sigma of q(z|x), (n, latent_dim), or None without one."""
    code = model.encode(x.to(device_of(model)))
    if isinstance(code, tuple):
        mu, logvar = code
        return mu.cpu(), (0.5 * logvar).exp().cpu()
    return code.cpu(), None


def check_model(
    model: LatentModel, shape: Sequence[int], name: str = "the model", latent_dim: int | None = None
) -> None:
    """Check that a model encodes pictures of this shape (C, H, W), to codes of `latent_dim` numbers unless None.

    Raises:
        TypeError: It is not such a model.
        ValueError: It takes another shape, has other codes, or its weights are not finite.
    """
    if not isinstance(model, nn.Module) or not all(
        callable(getattr(model, part, None)) for part in ("encode", "decode")
    ):
        raise TypeError(
            f"{name} must be an autoencoder or a VAE with `encode` and `decode`, as in vae_utils.models, "
            f"but it is {describe(model)}."
        )
    for part, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise ValueError(f"{name} has weights that are not finite numbers ({part}): train it again, more slowly.")
    takes = tuple(getattr(model, "shape", shape))
    if takes != tuple(shape):
        raise ValueError(f"{name} takes pictures {takes}, but these are {tuple(shape)}: use those it was trained on.")
    code, _ = encode_cloud(model, torch.full((1, *shape), 0.5))
    if latent_dim is not None and code.shape != (1, latent_dim):
        raise ValueError(
            f"{name} has codes of {code[0].numel()} numbers; this figure draws a plane and needs {latent_dim}: "
            f"train one with latent_dim={latent_dim}."
        )


def describe(thing: object) -> str:
    """Name an object's type, for error messages."""
    return "None" if thing is None else f"of type {type(thing).__name__}"


def test_pictures(pictures: Dataset | Tensor) -> Tensor:
    """Return a data set's test pictures, or the tensor itself, as (n, C, H, W) in [0, 1].

    Raises:
        TypeError: It is neither a data set nor a tensor.
        ValueError: It has another shape, or no picture.
    """
    x = pictures.test.x if isinstance(pictures, Dataset) else pictures
    if not isinstance(x, Tensor):
        raise TypeError(f"pictures must be a data set of vae_utils.data or a tensor, not {describe(x)}.")
    if x.ndim != 4 or len(x) == 0:
        raise ValueError(f"pictures must have shape (n, C, H, W), but theirs is {tuple(x.shape)}.")
    return x.float() / 255 if x.dtype == torch.uint8 else x
