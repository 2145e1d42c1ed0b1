// The code map: one hand moves a point over the plane of codes of one or two models; each draws what it finds there.

import { floats, makeDecoder, paint } from "./decoder.js";
import {
  a,
  announcer,
  dot,
  element,
  fill,
  handle,
  legend,
  movable,
  NOT_FINITE,
  number,
  onceAFrame,
  openSprite,
  pictureBox,
  shape,
  trouble,
} from "./live.js";

const SIDE = 320; // a plane's side, in the units of its drawing

export function codeMap(root, data, state) {
  const { models, pictures, followed, colors } = data;
  const labels = pictures.labels;
  const kindOf = (i) => pictures.names[labels[i]];
  const nameOf = (i) => (i < followed.length ? `the ${followed[i]}` : a(kindOf(i)));
  const several = models.length > 1;
  const planes = models.map((model) => makePlane(model, data));

  // What the reader did: where the points are (one for each model, in code numbers), and which real picture is chosen.
  if (!state.points) choose(0);
  let pointed = null; // a dot under the mouse
  if (state.map === undefined) state.map = false;

  // What stands on the page.
  const say = announcer(root);
  const real = pictureBox(pictures.shape, "real picture");
  const readOut = element("p", { class: "read-out" });
  const buttons = [
    ...followed.map((name, i) => element("button", { type: "button", onclick: () => pick(i) }, `the ${name}`)),
    element("button", { type: "button", onclick: () => pick((state.chosen + 1) % labels.length) }, "next real picture"),
    element("button", { type: "button", onclick: () => move(() => [0.5, 0.5]) }, "middle of the plane"),
  ];
  const mapSwitch = element("input", { type: "checkbox", onchange: () => ((state.map = mapSwitch.checked), draw()) });
  mapSwitch.checked = state.map;
  const help = several
    ? "Drag in either plane: the points move together. Or choose a dot: each point goes to its own code of that picture."
    : "Drag in the plane, or choose a dot: the decoder draws what it finds there.";
  const boxes = planes.map((plane) => plane.drawn.box);
  root.append(
    element(
      "p",
      { class: "help" },
      help,
      " Arrow keys work, too; with Shift in longer steps; Enter takes the nearest dot.",
    ),
    element(
      "div",
      { class: "controls" },
      ...buttons,
      element("label", {}, mapSwitch, " show what is drawn everywhere"),
    ),
    legend(
      pictures.names,
      colors,
      models.some((model) => model.clouds),
    ),
    several
      ? element("div", { class: "pair" }, ...planes.map((plane) => plane.column))
      : element("div", { class: "alone" }, planes[0].column, element("div", { class: "pictures" }, boxes[0], real.box)),
    several ? element("div", { class: "pictures" }, boxes[0], real.box, ...boxes.slice(1)) : "",
    readOut,
  );

  for (const [which, plane] of planes.entries()) {
    handle(plane.svg, {
      moved: (x, y) => move(() => [x, y]),
      hovered: (x, y) => point(plane.nearest(plane.toCode([x, y]), 12)),
      left: () => point(null),
      tapped: (x, y) => pick(plane.nearest(plane.toCode([x, y]), 12)),
    });
    plane.svg.addEventListener("keydown", (event) => {
      const step = (event.shiftKey ? 6 : 1) / 60;
      const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[
        event.key
      ] || [0, 0];
      if (dx || dy) move((place) => [place[0] + dx, place[1] + dy]);
      else if (event.key === "Home") pick(0);
      else if (event.key === "Enter" || event.key === " ") pick(plane.nearest(state.points[which]));
      else return;
      event.preventDefault();
    });
  }

  // Ways to change the state. Each ends in draw, once a frame.
  function choose(i) {
    state.chosen = i;
    state.points = planes.map((plane) => plane.codes[i].slice());
  }
  function pick(i) {
    if (i === null) return;
    choose(i);
    draw();
  }
  function move(change) {
    const inside = (value) => Math.min(1, Math.max(0, value));
    state.points = planes.map((plane, i) => plane.toCode(change(plane.toPlace(state.points[i])).map(inside)));
    draw();
  }
  function point(i) {
    if (i === pointed) return;
    pointed = i;
    draw();
  }

  function drawNow() {
    const looked = pointed === null ? state.chosen : pointed;
    const told = planes.map((plane, i) => plane.draw(state.points[i], state.chosen, pointed, state.map));
    drawReal(real.canvas, looked);
    real.words.textContent = `real: ${nameOf(looked)}`;
    real.canvas.setAttribute("aria-label", `Real picture: ${nameOf(looked)}`);
    buttons
      .slice(0, followed.length)
      .forEach((button, i) => button.setAttribute("aria-pressed", String(state.chosen === i)));
    readOut.textContent = told.join("\n");
    say(`${readOut.textContent} Real picture: ${nameOf(looked)}.`);
  }
  const draw = onceAFrame(drawNow);
  const drawReal = openSprite(pictures, () => draw());
  drawNow();
}

// One model's plane: its drawing, its decoder, and the ways between places (0 to 1 from the upper left) and codes.
function makePlane({ name, decoder, box, codes, clouds }, { models, pictures, colors, followed }) {
  const decode = makeDecoder(decoder);
  const [[left, right], [bottom, top]] = box;
  const toPlace = ([x, y]) => [(x - left) / (right - left), (top - y) / (top - bottom)];
  const toCode = ([u, v]) => [left + u * (right - left), top - v * (top - bottom)];
  const toDrawing = (z) => toPlace(z).map((value) => value * SIDE);
  const unit = SIDE / (right - left); // length of 1 in the drawing
  const pairs = (address) => {
    const values = floats(address);
    return Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i], values[2 * i + 1]]);
  };
  const centers = pairs(codes);
  const widths = clouds && pairs(clouds);

  const at = (z) =>
    `translate(${toDrawing(z)
      .map((value) => value.toFixed(2))
      .join(" ")})`;
  const dots = centers.map((z, i) => {
    const mark = dot(pictures.labels[i], pictures.names, colors);
    mark.setAttribute("transform", at(z));
    return mark;
  });
  const names = followed.map((called, i) =>
    shape("text", { class: "called", transform: at(centers[i]), x: 9, y: -9 }, called),
  );
  dots.slice(0, followed.length).forEach((mark) => mark.classList.add("followed"));
  const prior = models.some((model) => model.clouds)
    ? [1, 2].map((sd) => shape("circle", { class: "prior", transform: at([0, 0]), r: sd * unit }))
    : [];
  const cloud = widths ? [2, 1].map((sd) => shape("ellipse", { class: `cloud sd${sd}` })) : [];
  const found = shape("circle", { class: "found", r: 9 });
  const cross = shape("path", { class: "cross", d: "M-19 0h12M7 0h12M0-19v12M0 7v12" });
  const svg = movable(SIDE, {}, ...gridLines(box, toDrawing), ...prior, ...dots, ...cloud, found, ...names, cross);
  fill(
    svg,
    {
      "aria-label": `Point on the ${name}'s plane of codes`,
      "aria-valuemin": left.toFixed(2),
      "aria-valuemax": right.toFixed(2),
    },
    [],
  );
  const mosaic = element("canvas", { class: "mosaic", "aria-hidden": "true", hidden: true });
  const column = element(
    "div",
    { class: "column" },
    models.length > 1 ? element("p", { class: "title" }, name) : "",
    element("div", { class: "axis-y" }, "second number"),
    element("div", { class: "frame" }, mosaic, svg),
    element("div", { class: "axis-x" }, "first number of the code"),
  );
  const drawn = pictureBox(decoder.shape, models.length > 1 ? `drawn: ${name}` : "drawn from the code");

  // The real picture whose code is nearest; null where it is further than `within` units of the drawing.
  function nearest(z, within = Infinity) {
    const distances = centers.map((center) => Math.hypot(center[0] - z[0], center[1] - z[1]));
    const best = distances.indexOf(Math.min(...distances));
    return distances[best] * unit <= within ? best : null;
  }

  function drawMosaic() {
    const [, height, width] = decoder.shape;
    const tiles = 12;
    if (mosaic.width !== tiles * width) {
      Object.assign(mosaic, { width: tiles * width, height: tiles * height });
      for (let row = 0; row < tiles; row++) {
        for (let column = 0; column < tiles; column++) {
          const z = toCode([(column + 0.5) / tiles, (row + 0.5) / tiles]);
          paint(mosaic, decode(z), decoder.shape, column * width, row * height);
        }
      }
    }
  }

  function draw(z, chosen, pointed, withMosaic) {
    if (withMosaic) drawMosaic();
    mosaic.hidden = !withMosaic;
    const fine = paint(drawn.canvas, decode(z), decoder.shape);
    if (!fine && !drawn.box.querySelector(".trouble")) drawn.box.append(trouble(NOT_FINITE));
    cross.setAttribute("transform", at(z));
    found.setAttribute("visibility", pointed === null ? "hidden" : "visible");
    if (pointed !== null) found.setAttribute("transform", at(centers[pointed]));
    cloud.forEach((ellipse, i) => {
      const sd = 2 - i;
      const [rx, ry] = widths[chosen].map((width) => sd * width * unit);
      fill(
        ellipse,
        { transform: at(centers[chosen]), rx, ry, fill: colors[pictures.labels[chosen] % colors.length] },
        [],
      );
    });
    const place = `(${z.map((value) => number(value)).join(", ")})`;
    const near = a(pictures.names[pictures.labels[nearest(z)]]);
    const told = `${models.length > 1 ? name : "code"} ${place}: the nearest real code is that of ${near}.`;
    svg.setAttribute("aria-valuenow", z[0].toFixed(2));
    svg.setAttribute("aria-valuetext", `${place}, nearest real code: ${near}`);
    drawn.canvas.setAttribute("aria-label", `Picture drawn by the ${name} from the code ${place}`);
    return told;
  }

  return { svg, column, drawn, codes: centers, nearest, toCode, toPlace, draw };
}

// Faint lines at round numbers, with the numbers at the edges.
function gridLines([[left, right], [bottom, top]], toDrawing) {
  const rough = (right - left) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const made = [];
  for (let value = Math.ceil(left / step) * step; value <= right; value += step) {
    const [x] = toDrawing([value, 0]);
    if (x < 16 || x > SIDE - 12) continue;
    made.push(shape("line", { class: "grid", x1: x, x2: x, y1: 0, y2: SIDE }));
    made.push(
      shape("text", { class: "tick", x, y: SIDE - 5, "text-anchor": "middle" }, number(value, step < 1 ? 1 : 0)),
    );
  }
  for (let value = Math.ceil(bottom / step) * step; value <= top; value += step) {
    const [, y] = toDrawing([0, value]);
    if (y < 10 || y > SIDE - 20) continue;
    made.push(shape("line", { class: "grid", x1: 0, x2: SIDE, y1: y, y2: y }));
    made.push(shape("text", { class: "tick", x: 5, y: y + 4 }, number(value, step < 1 ? 1 : 0)));
  }
  return made;
}
