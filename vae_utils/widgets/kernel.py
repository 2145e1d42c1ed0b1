"""What every kernel widget stands on: how it is shown, a figure with few moving parts, and checks of models.

A kernel widget asks Python for each new picture. So that it answers at once, its figure is drawn a single time; on a
move, only the moving parts are drawn again, over a copy of the rest. The page gets a whole picture once, its ground,
and then, as PNG, only the parts that differ from it. While a control rests, the pictures of the places next to it are
drawn ahead. All is made of what ipywidgets 7.7 and 8 share.

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
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import display
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..data import Dataset

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIEW = "application/vnd.jupyter.widget-view+json"
NOTE = "This figure needs a running kernel: run this cell to move it."
LOST = "The kernel has stopped. This is the last picture that it drew: start the kernel again and run this cell."
TILE = 5  # pixels of a PNG are 4 on the page: a part of a picture starts and ends there, so that it fits exactly
DENSITY = TILE / 4
DPI = round(100 * DENSITY)
GAP = 8  # tiles: parts closer than this go together, as each has its price
PAUSE = 0.1  # seconds: a text changed at every move would hold up the pictures, and nobody could hear it
INK = "var(--jp-ui-font-color1, inherit)"  # of texts, on JupyterLab's light and dark pages and elsewhere
NO_PIXELS = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
# Runs in the page when `NO_PIXELS` has been read. ipywidgets makes and changes parts one by one, hence the observer.
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

# --- How a widget is shown -------------------------------------------------------------------------------------------


def bundle(widget: ipywidgets.Widget, html: str, text: str, note: str = NOTE) -> dict[str, Any]:
    """A widget as an output with three faces: kind of content -> content, for `display(..., raw=True)`.

    Where a kernel runs, the widget is shown. Anywhere else (a notebook just opened, GitHub, an exported page) `html`
    stands there with `note` below it, and `text` where no HTML is shown. An <img> in `html` needs its `alt`.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    static = f'{html}\n<p style="margin: 4px 0"><em>{escape(note)}</em></p>' if note else html
    return {VIEW: view, "text/html": static, "text/plain": text}


def show(widget: ipywidgets.Widget, html: str, text: str, note: str = NOTE) -> None:
    """Show a widget as `bundle` describes. Returns nothing."""
    display(bundle(widget, html, text, note), raw=True)


def picture_html(picture: NDArray[np.uint8], alt: str) -> str:
    """A picture (H, W, 4), red, green, blue and 255, as an <img> that holds its bytes, on white ground.

    `DENSITY` pixels stand for each pixel on the page. For a notebook's file: few bytes, and at most 256 colors.
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
    """A PNG file as the address of an image."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


class Ground:
    """The first picture of a widget, sent to the page once as the background of a class; others are put on it.

    picture: (H, W, 4), red, green, blue and 255. Those put on it must have the same size.
    """

    def __init__(self, picture: NDArray[np.uint8]):
        self.picture, self.name = picture, f"vae-ground-{secrets.token_hex(8)}"  # others may be on the page
        height, width = (round(side / DENSITY) for side in picture.shape[:2])
        self.style = (
            f"<style>.{self.name} {{position: relative; width: {width}px; max-width: 100%; "
            f"aspect-ratio: {width} / {height}; print-color-adjust: exact; "
            f"background: white url({address(quick_png(picture))}) 0 0 / 100% 100%}} "
            ".vae-picture .widget-html-content {flex: 1 1 0; min-width: 0}</style>"  # a narrow page makes it smaller
        )

    def under(self, picture: NDArray[np.uint8], alt: str) -> str:
        """A picture as HTML, for a page that has the `style`: the parts that differ, each an <img> in its place."""
        height, width = picture.shape[:2]
        parts = "".join(
            f'<img src="{address(quick_png(picture[top:bottom, left:right]))}" alt="" decoding="sync" style="position: '
            f"absolute; margin: 0; max-width: none; left: {100 * left / width:.4f}%; top: {100 * top / height:.4f}%; "
            f'width: {100 * (right - left) / width:.4f}%; height: {100 * (bottom - top) / height:.4f}%">'
            for left, top, right, bottom in changed(self.picture, picture)
        )
        return f'<div class="{self.name}" role="img" aria-label="{escape(alt)}">{parts}</div>'


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Where two pictures (H, W, 4) differ: parts beside each other, as left, top, right, bottom in pixels."""
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
    """The colors of a picture (H, W, 4) as a PNG file, faster than Pillow: no filter is looked for, and level 1."""
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
    """A figure in words: a line for each line of `text`, legible on light and dark pages."""
    lines = "\n".join(f"<div>{escape(line)}</div>" for line in text.splitlines())
    return f'<div style="line-height: 1.45; color: {INK}">{lines}</div>'


def describe_parts(box: ipywidgets.Box) -> None:
    """Add what ipywidgets leaves out to a widget's outermost box, as a last part of it that nobody sees at first.

    Sliders get their names for screen readers, texts with the class vae-readout are announced when they change, and
    a line says so when the page has lost its kernel. Where a page refuses the script, the first two are missing.
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
    """What a widget shows at one moment: a picture, what it shows in a sentence, and its figures in words."""

    picture: NDArray[np.uint8]  # (H, W, 4), red, green, blue and 255; always of one size
    alt: str
    text: str


class KernelFigure:
    """Controls, a picture that follows them, and a text that says what is shown.

    controls: what the reader moves; `look` is drawn anew when the `value` of one changes.
    look: (the controls' values) -> Frame; it changes nothing, as it is also called for places where no control is yet.
        It is called once here, so what is wrong comes out at once. Later, an error's message takes the place of the
        text, and the picture stays.
    arranged: the controls as they are laid out; None puts them in rows.
    moved: called after a change, before it is drawn.
    """

    def __init__(
        self,
        controls: Sequence[ipywidgets.Widget],
        look: Callable[..., Frame],
        arranged: ipywidgets.Widget | None = None,
        moved: Callable[[], None] | None = None,
    ):
        self.controls, self.look, self.moved = tuple(controls), look, moved
        self._later: asyncio.Handle | None = None  # what waits until the controls rest
        self._ahead: dict[tuple, tuple[Frame, str]] = {}  # by places of the controls: what is drawn ahead
        self.picture, self.readout = ipywidgets.HTML(), ipywidgets.HTML()
        for part in (self.picture, self.readout):
            part.layout.max_width = "100%"
        self.frame = look(*self.values())
        self.ground = Ground(self.frame.picture)
        self._show(self.frame)
        for control in self.controls:
            control.observe(self._follow, names="value")
        arranged = arranged if arranged is not None else row(*self.controls)
        self.picture.add_class("vae-picture")
        self.readout.add_class("vae-readout")
        style = ipywidgets.HTML(self.ground.style, layout={"display": "none"})
        self.box = ipywidgets.VBox([style, arranged, self.picture, self.readout])
        describe_parts(self.box)

    def values(self) -> tuple:
        """Where the controls are."""
        return tuple(control.value for control in self.controls)

    def redraw(self) -> None:
        """Show what the controls now say, and what `look` now makes of it."""
        self._wait(None)
        self.forget()
        self._draw()

    def forget(self) -> None:
        """Forget what was drawn ahead: `look` would now make something else of it."""
        self._ahead.clear()

    def _follow(self, change: Mapping[str, Any]) -> None:
        """The reader has moved a control. The picture comes first; the rest follows when the controls do rest."""
        if self.moved is not None:
            self.moved()
        if not hasattr(get_ipython(), "kernel"):
            self._draw()
            return
        drawn = self._ahead.get(places(self.values()))
        self.forget()  # after this move, the same place may look otherwise
        if drawn is None:
            self._draw(text=False)
        else:
            self.frame, self.picture.value = drawn
        self._wait(self._rest, change["owner"], change["old"], seconds=PAUSE)

    def _rest(self, control: ipywidgets.Widget, old: object) -> None:
        """Say the text, look once more, as what was drawn ahead may be out of date, and draw ahead again."""
        self._draw()
        beside = next_to(control)
        self._wait(self._draw_ahead, control, sorted(beside, key=lambda value: places([value]) == places([old])))

    def _draw_ahead(self, control: ipywidgets.Widget, beside: list) -> None:
        """Draw what a control will show at the first of these values; then, if nothing else has come, at the others."""
        if not beside:
            return
        values = tuple(beside[0] if other is control else other.value for other in self.controls)
        with suppress(Exception):  # what goes wrong there is said when the control is there
            frame = self.look(*values)
            self._ahead[places(values)] = frame, self.ground.under(frame.picture, frame.alt)
        self._wait(self._draw_ahead, control, beside[1:])

    def _wait(self, do: Callable[..., None] | None, *arguments: object, seconds: float = 0) -> None:
        """Do something later instead of what has waited until now; None: nothing."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if do is not None:
            self._later = asyncio.get_running_loop().call_later(seconds, do, *arguments)

    def _draw(self, text: bool = True) -> None:
        try:
            self.frame = self.look(*self.values())
            self._show(self.frame, text)
        except Exception as error:  # a reader must not be left before a picture that no longer moves, and no word
            self.readout.value = readout_html(f"This could not be drawn: {error}")

    def _show(self, frame: Frame, text: bool = True) -> None:
        self.picture.value = self.ground.under(frame.picture, frame.alt)
        if text:
            self.readout.value = readout_html(frame.text)

    def static(self) -> str:
        """The present state as HTML that needs no kernel."""
        return picture_html(self.frame.picture, self.frame.alt) + readout_html(self.frame.text)

    def _ipython_display_(self) -> None:
        show(self.box, self.static(), f"[Figure: {self.frame.alt}]\n{self.frame.text}")


# --- Controls --------------------------------------------------------------------------------------------------------


def slider(name: str, low: float, high: float, value: float, step: float = 0.1) -> ipywidgets.FloatSlider:
    """A slider for a number; its name stands before it. It tells each place that it passes."""
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
    """Controls beside each other, and below each other where the page is narrow."""
    return ipywidgets.HBox(controls, layout={"flex_flow": "row wrap", "align_items": "center"})


def places(values: Sequence) -> tuple:
    """Values of controls as they are compared: the page counts a slider's steps in another way than Python."""
    return tuple(round(value, 9) if isinstance(value, float) else value for value in values)


def next_to(control: ipywidgets.Widget) -> list:
    """The values that a control may have after one step."""
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
    """The course's look inside, whatever the notebook has set, and the notebook's afterwards."""
    import matplotlib as mpl

    from ..plots import use_style

    with mpl.rc_context():
        use_style()
        yield


class Sheet:
    """A matplotlib figure of which all but the moving artists is drawn once.

    figure: made by `new_figure`. Those of its artists that are `moving` are drawn at each `image`, over the rest.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]):
        self.figure, self.moving = figure, tuple(moving)
        for artist in self.moving:
            artist.set_animated(True)
        self._background: dict[object, Any] = {}
        self._pasted: list[tuple[tuple[int, int, int, int], NDArray[np.uint8]]] = []
        self._places: dict[Axes, tuple[int, int, int, int]] = {}
        self.refresh()

    def refresh(self, key: object = None) -> None:
        """Draw what does not move anew, after a change of it; a state called `key` is drawn once and then kept."""
        if key is None or key not in self._background:
            self.figure.canvas.draw()
            self.figure.set_layout_engine("none")  # things stay where they are now
            self._background[key] = self.figure.canvas.copy_from_bbox(self.figure.bbox)
        self._key = key

    def image(self) -> NDArray[np.uint8]:
        """The figure as it is now: (H, W, 4), red, green, blue and 255."""
        canvas = self.figure.canvas
        canvas.restore_region(self._background[self._key])
        for artist in self.moving:
            artist.axes.draw_artist(artist)
        image = np.array(canvas.buffer_rgba())  # a copy: the canvas will be drawn on again
        for (left, top, width, height), picture in self._pasted:
            enlarged = picture.repeat(height // picture.shape[0], 0).repeat(width // picture.shape[1], 1)
            image[top : top + height, left : left + width, :3] = enlarged
        return image

    def place(self, ax: Axes) -> tuple[int, int, int, int]:
        """Where an axes lies in the image, in pixels: left, top, width, height."""
        box = ax.get_window_extent()
        left, right = round(box.x0), round(box.x1)
        top, bottom = round(self.figure.bbox.height - box.y1), round(self.figure.bbox.height - box.y0)
        return left, top, right - left, bottom - top

    def paste(self, pictures: Mapping[Axes, Tensor]) -> None:
        """From now on, fill each axes, which `picture_axes` has made, with a picture (C, H, W) in [0, 1]."""
        for ax in pictures.keys() - self._places.keys():  # where they lie is worked out once
            self._places[ax] = self.place(ax)
        self._pasted = [(self._places[ax], to_bytes(picture)) for ax, picture in pictures.items()]


def to_bytes(picture: Tensor) -> NDArray[np.uint8]:
    """A picture (C, H, W) in [0, 1] as (H, W, 3), 0..255, rounded and clipped."""
    array = (picture.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def new_figure(width: float, height: float, layout: str = "constrained") -> Figure:
    """An empty figure of this size in inches (100 pixels of the page each), which no notebook shows by itself.

    Its sides are rounded to whole tiles.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sides = [round(side * DPI / TILE) * TILE / DPI for side in (width, height)]
    figure = Figure(figsize=sides, dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """A new axes at a place in inches from the lower left corner, moved onto whole pixels."""
    size = figure.get_size_inches()
    corner = [round(place * DPI) / DPI for place in (left, bottom)]
    return figure.add_axes((corner[0] / size[0], corner[1] / size[1], width / size[0], height / size[1]))


def picture_size(shape: Sequence[int], wanted: float) -> tuple[float, float]:
    """Width and height in inches, near `wanted`, that give each pixel of a picture (C, H, W) whole pixels here."""
    times = max(1, round(wanted * DPI / max(shape[1:])))
    return times * shape[2] / DPI, times * shape[1] / DPI


def picture_axes(figure: Figure, left: float, bottom: float, shape: Sequence[int], wanted: float) -> Axes:
    """An axes that a picture (C, H, W) is pasted into, without ticks and frame."""
    ax = at(figure, left, bottom, *picture_size(shape, wanted))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def strip(
    figure: Figure, left: float, bottom: float, shape: Sequence[int], wanted: float, n: int, name: str
) -> list[Axes]:
    """Axes for n pictures in a row, its name at the left of them."""
    step = picture_size(shape, wanted)[0] + 0.06
    row = [picture_axes(figure, left + i * step, bottom, shape, wanted) for i in range(n)]
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return row


# --- Models ----------------------------------------------------------------------------------------------------------


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


@torch.no_grad()
def encode_cloud(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Codes (n, latent_dim) of pictures, and the standard deviations of their clouds, None without clouds."""
    code = model.encode(x.to(device_of(model)))
    if isinstance(code, tuple):
        mu, logvar = code
        return mu.cpu(), (0.5 * logvar).exp().cpu()
    return code.cpu(), None


def check_model(model: object, shape: Sequence[int], name: str = "the model", latent_dim: int | None = None) -> None:
    """Make sure that a model turns pictures of this shape into codes, of `latent_dim` numbers, and back.

    Raises TypeError for what is no such model, ValueError for another shape, another code or weights that are not
    finite.
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
    """A thing in a few words, for messages."""
    return "None" if thing is None else f"of type {type(thing).__name__}"


def test_pictures(pictures: Dataset | Tensor) -> Tensor:
    """The pictures to look at, (n, C, H, W) in [0, 1]: a data set's test pictures, or the tensor itself.

    Raises TypeError and ValueError for what holds no pictures.
    """
    x = pictures.test.x if isinstance(pictures, Dataset) else pictures
    if not isinstance(x, Tensor):
        raise TypeError(f"pictures must be a data set of vae_utils.data or a tensor, not {describe(x)}.")
    if x.ndim != 4 or len(x) == 0:
        raise ValueError(f"pictures must have shape (n, C, H, W), but theirs is {tuple(x.shape)}.")
    return x.float() / 255 if x.dtype == torch.uint8 else x
