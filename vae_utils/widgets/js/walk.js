// The walk: a slider from one picture's code to another's. Each model decodes the place on its own straight road.

import { makeDecoder, paint } from "./decoder.js";
import { announcer, element, handle, NOT_FINITE, onceAFrame, openSprite, pictureBox, slider, trouble } from "./live.js";

const STRIP = 9; // pictures in a strip

export function walk(root, data, state) {
  const { models, pictures, names, truth } = data; // truth: how many steps the true walk has, and its length
  if (state.t === undefined) state.t = 0.5; // how far along the road, from 0 to 1
  const say = announcer(root);
  const ends = names.map((name) => pictureBox(pictures.shape, name));
  const roads = models.map((model) => decodedRoad(model));
  if (truth) roads.push(trueRoad(truth, pictures, (canvas, i, left) => drawReal(canvas, 2 + i, left)));

  const go = slider(`How far from ${names[0]} to ${names[1]}`, 0, 1, 0.01, (t) => (stop(), move(t)));
  const play = element("button", { type: "button", onclick: () => (playing ? stop() : run()) }, "Walk");
  const readOut = element("p", { class: "read-out" });
  root.append(
    element("p", { class: "help" }, "Move the slider: each road shows the place that you have reached on it."),
    element(
      "div",
      { class: "ends" },
      ends[0].box,
      element("div", {}, go, element("div", { class: "controls" }, play)),
      ends[1].box,
    ),
    ...roads.map((road) => road.box),
    readOut,
  );
  for (const road of roads) {
    const along = (x) => (stop(), move(Math.min(1, Math.max(0, (x * STRIP - 0.5) / (STRIP - 1)))));
    handle(road.strip, { moved: along, hovered() {}, left() {}, tapped() {} });
  }

  function move(t) {
    state.t = t;
    draw();
  }

  // Walking by itself, there in four seconds; in eight still steps for who asked the system for less motion.
  let playing = null;
  function run() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const from = state.t < 1 ? state.t : 0;
    let began = null;
    const step = (now) => {
      began = began === null ? now : began;
      const t = Math.min(1, from + (now - began) / 4000);
      move(calm ? Math.floor(t * 8) / 8 : t);
      if (t < 1 && root.isConnected) playing = requestAnimationFrame(step);
      else stop();
    };
    playing = requestAnimationFrame(step);
    play.textContent = "Stop";
  }
  function stop() {
    if (playing) cancelAnimationFrame(playing);
    playing = null;
    play.textContent = "Walk";
  }

  function drawStrips() {
    ends.forEach((end, i) => drawReal(end.canvas, i));
    roads.forEach((road) => road.drawStrip());
  }
  function drawNow() {
    const percent = `${Math.round(100 * state.t)} %`;
    go.value = state.t;
    go.setAttribute("aria-valuetext", `${percent} of the way from ${names[0]} to ${names[1]}`);
    roads.forEach((road) => road.draw(state.t));
    readOut.textContent = `${percent} of the way from ${names[0]} to ${names[1]}.`;
    say(readOut.textContent);
  }
  const draw = onceAFrame(drawNow);
  const drawReal = openSprite(pictures, () => (drawStrips(), draw()));
  drawStrips();
  drawNow();
}

function decodedRoad({ name, decoder, start, end, length }) {
  const decode = makeDecoder(decoder);
  const at = (t) => decode(start.map((value, i) => value + t * (end[i] - value)));
  const show = (canvas, t, left) => paint(canvas, at(t), decoder.shape, left);
  return makeRoad(
    name,
    `${length.toFixed(2)} times as long as the straight line between its ends`,
    decoder.shape,
    show,
  );
}

function trueRoad({ steps, length }, { shape }, drawReal) {
  const show = (canvas, t, left) => (drawReal(canvas, Math.round(t * steps), left), true);
  return makeRoad("the true walk", `drawn from factors in between; ${length.toFixed(2)} times as long`, shape, show);
}

// A strip of the whole road and the place on it; show(canvas, t, left) draws the place t.
function makeRoad(name, note, [, height, width], show) {
  const whole = element("canvas", {
    width: STRIP * width,
    height,
    role: "img",
    "aria-label": `${name}: ${STRIP} steps`,
  });
  const here = element("div", { class: "here" });
  const strip = element("div", { class: "strip" }, whole, here);
  const now = element("canvas", { width, height, role: "img" });
  const title = element("p", { class: "title" }, element("b", {}, name), `: ${note}`);
  const box = element("div", { class: "road" }, title, strip, now);
  const drawStrip = () => {
    for (let i = 0; i < STRIP; i++) show(whole, i / (STRIP - 1), i * width);
  };
  const draw = (t) => {
    if (!show(now, t, 0) && !box.querySelector(".trouble")) box.append(trouble(NOT_FINITE));
    now.setAttribute("aria-label", `${name}: the picture at ${Math.round(100 * t)} % of the way`);
    here.style.left = `${(100 * t * (STRIP - 1)) / STRIP}%`;
  };
  return { box, strip, drawStrip, draw };
}
