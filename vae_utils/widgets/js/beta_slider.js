// One model for each beta: what comes back, new pictures, and a point on the curve of rates and distortions.

import { chart, dial, key } from "./chart.js";
import { announcer, element, number, onceAFrame, openSprite, slider } from "./live.js";

export function betaSlider(root, data, state) {
  const { models, runs, pictures, shown, samples } = data,
    { green, vermilion } = data.palette,
    [, height, width] = pictures.shape;
  if (state.i === undefined) state.i = data.start;
  const say = announcer(root);
  const ends = (values) => [Math.min(...values), Math.max(...values)];
  const axis = (of, label) => {
    const [low, high] = ends([...models.map((model) => model[of]), ...runs.flatMap((run) => run[of])]),
      room = 0.04 * (high - low) || 1;
    return { from: low - room, to: high + room, ticks: round(low, high), label };
  };
  const plane = chart({
    x: axis("rate", "rate R in nats"),
    y: axis("distortion", "distortion D above its floor"),
    width: 320,
    height: 250,
  });
  for (const run of runs)
    plane.line("currentColor", 0.8, { "stroke-opacity": 0.45 })(run.rate.map((rate, i) => [rate, run.distortion[i]]));
  const curve = models.map(({ rate, distortion }) => [rate, distortion]);
  plane.line(green, 1.5)(curve);
  plane.dots(green, 3)(curve);
  const here = plane.dots(vermilion, 7);

  const rows = [
    ["picture", shown],
    ["comes back", shown],
    ["new", samples],
  ].map(([name, n]) => {
    const canvas = element("canvas", {
      width: n * width,
      height,
      role: "img",
      style: `width: ${(100 * n) / Math.max(shown, samples)}%`,
    });
    return { canvas, n, box: element("div", { class: "strip-row" }, element("span", {}, name), canvas) };
  });
  const input = slider("β", 0, models.length - 1, 1, (i) => ((state.i = i), draw()));
  const beta = dial("β", input, (i) => models[i].name);
  const readOut = element("p", { class: "read-out left" });
  root.append(
    element("div", { class: "controls" }, beta.box),
    element("div", { class: "charts" }, plane.svg, element("div", { class: "strips" }, ...rows.map(({ box }) => box))),
    key([
      ["these models", green],
      ["the chosen one", vermilion],
      ...(runs.length ? [["the record's", "color-mix(in srgb, currentColor 45%, transparent)"]] : []),
    ]),
    readOut,
  );

  function drawNow() {
    const { name, rate, distortion, error } = models[state.i],
      first = shown + state.i * (shown + samples);
    beta.set(state.i);
    here([[rate, distortion]]);
    rows.forEach(({ canvas, n }, row) => {
      const from = [0, first, first + shown][row];
      for (let i = 0; i < n; i++) drawPicture(canvas, from + i, i * width);
    });
    rows[0].canvas.setAttribute("aria-label", `${shown} pictures`);
    rows[1].canvas.setAttribute("aria-label", `What comes back of them at β = ${name}`);
    rows[2].canvas.setAttribute("aria-label", `${samples} new pictures at β = ${name}`);
    plane.alt(
      `Rates and distortions of ${models.length} models, with a point at rate ${number(rate, 1)}, distortion ${number(distortion, 0)}`,
    );
    readOut.textContent =
      `β = ${name}: the code costs ${number(rate)} nats (rate R), the distortion D is ${number(distortion, 1)} nats above its floor, D + R = ${number(distortion + rate, 1)}.\n` +
      `The pictures above come back with a squared error of ${number(error)} on average.`;
    say(readOut.textContent);
  }
  const draw = onceAFrame(drawNow);
  const drawPicture = openSprite(pictures, () => draw());
  drawNow();
}

/** A few round values between two. */
function round(low, high) {
  const rough = (high - low) / 4 || 1,
    power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}
