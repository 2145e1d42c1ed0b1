// Traversals: a slider for each number of the code. The little pictures show what its two ends would give.

import { makeDecoder, paint } from "./decoder.js";
import {
  a,
  announcer,
  element,
  NOT_FINITE,
  number,
  onceAFrame,
  openSprite,
  pictureBox,
  slider,
  trouble,
} from "./live.js";

export function traversals(root, data, state) {
  const { name, decoder, order, effect, low, high, origin, pictures, kinds, followed } = data;
  const decode = makeDecoder(decoder);
  const [, height, width] = decoder.shape;
  const nameOf = (i) => (i < 0 ? origin[1] : i < followed.length ? `the ${followed[i]}` : a(kinds[i]));
  const codeOf = (i) => (i < 0 ? origin[0] : pictures.codes[i]).slice();
  if (!state.z) Object.assign(state, { z: codeOf(0), from: 0 }); // the code, and the picture it started from; -1: none

  const say = announcer(root);
  const drawn = pictureBox(decoder.shape, "drawn from the code");
  const real = pictureBox(decoder.shape, "real picture");
  const startFrom = (i) => (Object.assign(state, { z: codeOf(i), from: i }), draw());
  const next = () => (state.from + 1) % pictures.codes.length;
  const starts = [0, 1, -1];
  const buttons = starts.map((i) => element("button", { type: "button", onclick: () => startFrom(i) }, nameOf(i)));
  const others = [
    element("button", { type: "button", onclick: () => startFrom(next()) }, "next real picture"),
    element("button", { type: "button", onclick: () => startFrom(state.from) }, "Reset"),
  ];

  const rows = order.map((j) => {
    const title = `number ${j + 1}`;
    const percent = `${(100 * effect[j]).toFixed(1)} %`;
    const ends = [low[j], high[j]].map((value) => ({
      value,
      canvas: element("canvas", { width, height, "aria-hidden": "true" }),
    }));
    const value = element("span", { class: "value" });
    const bar = element("div", { class: "bar" });
    bar.style.width = `${(100 * effect[j]) / effect[order[0]]}%`;
    const input = slider(`Number ${j + 1} of the code`, low[j], high[j], (high[j] - low[j]) / 60, (moved) => {
      state.z[j] = moved;
      draw();
    });
    const parts = [
      element("span", { class: "name" }, title),
      element("span", { class: "effect" }, bar, percent),
      ends[0].canvas,
      input,
      ends[1].canvas,
      value,
    ];
    const draw1 = () => {
      input.value = state.z[j];
      value.textContent = number(state.z[j]);
      input.setAttribute(
        "aria-valuetext",
        `${number(state.z[j])}; changes a pixel by ${percent} for each standard deviation`,
      );
      for (const end of ends) {
        const z = state.z.slice();
        z[j] = end.value;
        paint(end.canvas, decode(z), decoder.shape);
      }
    };
    return { box: element("div", { class: "latent" }, ...parts), draw: draw1 };
  });

  const head = ["", "moves a pixel by", "low end", "", "high end", "value"].map((words) => element("span", {}, words));
  root.append(
    element(
      "p",
      { class: "help" },
      "Move a number and the picture follows. The small pictures show what each slider's ends would give. The bars say how far a pixel moves, of its range and on average, when the number grows by one standard deviation.",
    ),
    element("div", { class: "controls" }, element("span", {}, "Start from"), ...buttons, ...others),
    element(
      "div",
      { class: "desk" },
      element("div", { class: "pictures" }, drawn.box, real.box),
      element("div", {}, element("div", { class: "latent head" }, ...head), ...rows.map((row) => row.box)),
    ),
  );

  function drawNow() {
    if (!paint(drawn.canvas, decode(state.z), decoder.shape) && !root.querySelector(".trouble"))
      root.append(trouble(NOT_FINITE));
    rows.forEach((row) => row.draw());
    real.box.style.visibility = state.from < 0 ? "hidden" : "visible";
    if (state.from >= 0) drawReal(real.canvas, state.from);
    real.words.textContent = `real: ${nameOf(state.from)}`;
    real.canvas.setAttribute("aria-label", `Real picture: ${nameOf(state.from)}`);
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(state.from === starts[i])));
    const code = state.z.map((value) => number(value, 1)).join(", ");
    drawn.canvas.setAttribute("aria-label", `Picture drawn by the ${name} from the code ${code}`);
    say(`Drawn from the code ${code}; started from ${nameOf(state.from)}.`);
  }
  const draw = onceAFrame(drawNow);
  const drawReal = openSprite(pictures, () => draw());
  drawNow();
}
