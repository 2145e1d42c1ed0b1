// A plane through three pictures' codes: what the decoder draws there, wherever one points.

import { makeDecoder, paint } from "./decoder.js";
import {
  a,
  announcer,
  element,
  handle,
  movable,
  NOT_FINITE,
  number,
  onceAFrame,
  openSprite,
  pictureBox,
  shape,
  trouble,
} from "./live.js";

const FROM = -0.3; // the square reaches from FROM to TO on both axes; the corners are at (0, 0), (1, 0) and (0, 1)
const TO = 1.3;
const SIDE = 320; // of the square, in the units of its drawing
const TILES = 9;
const CORNERS = ["A", "B", "C"];

/** The code at the place (u, v) of the plane through three codes. */
export const codeAt = ([p, q, r], place) =>
  p.map((start, i) => start + place[0] * (q[i] - start) + place[1] * (r[i] - start));

export function planeOfThree(root, data, state) {
  const { decoder, pictures, codes, kinds } = data;
  const decode = makeDecoder(decoder);
  const [, height, width] = decoder.shape;
  if (!state.corners) Object.assign(state, { corners: [0, 1, 2], place: [0.5, 0.5] });
  const chosen = () => state.corners.map((i) => codes[i]);
  const toDrawing = ([u, v]) => [u, 1 - v].map((value, i) => (SIDE * (value - (i ? 1 - TO : FROM))) / (TO - FROM));
  const toPlace = (x, y) => [FROM + x * (TO - FROM), TO - y * (TO - FROM)];
  const at = (place) =>
    `translate(${toDrawing(place)
      .map((value) => value.toFixed(2))
      .join(" ")})`;

  const say = announcer(root);
  const mosaic = element("canvas", {
    class: "mosaic",
    width: TILES * width,
    height: TILES * height,
    "aria-hidden": "true",
  });
  const ends = [
    [0, 0],
    [1, 0],
    [0, 1],
  ];
  const marks = ends.map((place, i) =>
    shape(
      "g",
      { transform: at(place) },
      shape("circle", { class: "corner", r: 9 }),
      shape("text", { class: "corner-name", "text-anchor": "middle", y: 4 }, CORNERS[i]),
    ),
  );
  const cross = shape("path", { class: "cross on-pictures", d: "M-19 0h12M7 0h12M0-19v12M0 7v12" });
  const svg = movable(
    SIDE,
    { "aria-label": "Point on the plane through A, B and C", "aria-valuemin": FROM, "aria-valuemax": TO },
    ...marks,
    cross,
  );
  const drawn = pictureBox(decoder.shape, "drawn at the cross");
  const boxes = CORNERS.map((name) => pictureBox(decoder.shape, name));
  const readOut = element("p", { class: "read-out" });
  const another = (corner) => {
    do state.corners[corner] = (state.corners[corner] + 1) % codes.length;
    while (state.corners.filter((i) => i === state.corners[corner]).length > 1);
    drawMosaic();
    draw();
  };
  root.append(
    element(
      "p",
      { class: "help" },
      "Drag over the plane through the codes of A, B and C. Arrow keys work, too; with Shift in longer steps.",
    ),
    element(
      "div",
      { class: "controls" },
      ...CORNERS.map((name, i) => element("button", { type: "button", onclick: () => another(i) }, `another ${name}`)),
    ),
    element(
      "div",
      { class: "alone" },
      element("div", { class: "column" }, element("div", { class: "frame whole" }, mosaic, svg)),
      element("div", { class: "pictures" }, drawn.box),
    ),
    element("div", { class: "pictures small" }, ...boxes.map(({ box }) => box)),
    readOut,
  );
  const move = (place) => {
    state.place = place.map((value) => Math.min(TO, Math.max(FROM, value)));
    draw();
  };
  handle(svg, { moved: (x, y) => move(toPlace(x, y)), hovered() {}, left() {}, tapped() {} });
  svg.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.2 : 0.04;
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!way) return;
    event.preventDefault();
    move(state.place.map((value, i) => value + way[i]));
  });

  function drawMosaic() {
    for (let row = 0; row < TILES; row++) {
      for (let column = 0; column < TILES; column++) {
        const place = toPlace((column + 0.5) / TILES, (row + 0.5) / TILES);
        paint(mosaic, decode(codeAt(chosen(), place)), decoder.shape, column * width, row * height);
      }
    }
  }
  function drawNow() {
    const z = codeAt(chosen(), state.place),
      length = Math.hypot(...z),
      typical = Math.sqrt(z.length - 0.5);
    if (!paint(drawn.canvas, decode(z), decoder.shape) && !root.querySelector(".trouble"))
      root.append(trouble(NOT_FINITE));
    cross.setAttribute("transform", at(state.place));
    boxes.forEach(({ canvas, words }, i) => {
      const kind = a(kinds[state.corners[i]]);
      drawReal(canvas, state.corners[i]);
      words.textContent = `${CORNERS[i]}: ${kind}`;
      canvas.setAttribute("aria-label", `Real picture ${CORNERS[i]}: ${kind}`);
    });
    const place = `(${state.place.map((value) => number(value)).join(", ")})`;
    readOut.textContent = `At ${place} the code has length ${number(length)}; draws of the prior have about ${number(typical)}.`;
    svg.setAttribute("aria-valuenow", state.place[0].toFixed(2));
    svg.setAttribute("aria-valuetext", place);
    drawn.canvas.setAttribute("aria-label", `Picture decoded at ${place} of the plane`);
    say(readOut.textContent);
  }
  const draw = onceAFrame(drawNow);
  const drawReal = openSprite(pictures, () => draw());
  drawMosaic();
  drawNow();
}
