// A draw z = mu + sigma * epsilon whose mu and sigma the reader moves, with two estimators of the gradient.

import { chart, key, muAndSigma } from "./chart.js";
import { announcer, element, number, onceAFrame } from "./live.js";
import { Random } from "./random.js";

const EDGES = Array.from({ length: 121 }, (_, i) => i - 80); // of the bars of single-draw slopes
const REACH = 0.25; // length of the arrow for a slope of 1
const TRAIL = 200; // points kept
const grid = (from, to, n) => Array.from({ length: n + 1 }, (_, i) => from + ((to - from) * i) / n);

/** Estimates of d/dmu E[(z - target)^2] from one epsilon: pathwise, and by the score function. */
export function slopes(mu, sigma, target, epsilon) {
  const z = mu + sigma * epsilon;
  return [2 * (z - target), ((z - target) ** 2 * (z - mu)) / sigma ** 2];
}

/** The exact variances of the two estimates. */
export function variances(mu, sigma, target) {
  const d = mu - target;
  return [4 * sigma ** 2, (d ** 4 + 14 * d ** 2 * sigma ** 2 + 15 * sigma ** 4) / sigma ** 2];
}

export function trick(root, data, state) {
  const { target, ranges } = data,
    { blue, sky, green, vermilion } = data.palette;
  const noise = new Random(data.seed).normals(data.draws); // the same at each move, so that the bars change smoothly
  if (!state.random)
    Object.assign(state, {
      mu: data.mu,
      sigma: data.sigma,
      kept: true,
      epsilon: data.epsilon,
      trail: [],
      random: new Random(data.seed + 1),
    });
  const say = announcer(root);
  const loss = (z) => (z - target) ** 2;
  const roll = () => Number(state.random.normal().toFixed(3));

  const up = { from: -3, to: 60, ticks: [0, 20, 40, 60] };
  const curve = chart({
    x: { from: -5, to: 11, ticks: [-5, 0, 5, 10], label: "z" },
    y: { ...up, label: "loss f(z)" },
    title: "z, and an arrow downhill",
    width: 260,
  });
  const cloud = curve.area(sky, 0.5),
    parabola = curve.line("currentColor", 1.5);
  const drop = curve.line("currentColor", 1, { "stroke-dasharray": "2 3" }),
    dot = curve.dots(blue, 5);
  const arrow = curve.mark("path", { stroke: vermilion, "stroke-width": 3, fill: vermilion });
  const visited = chart({
    x: { from: -1.2, to: 7.2, ticks: [0, 2, 4, 6], label: "μ" },
    y: { ...up },
    title: "losses where μ has been",
    width: 260,
  });
  const average = visited.line("currentColor", 1.5),
    kept = visited.line(sky, 2),
    trail = visited.dots(sky, 3),
    here = visited.dots(blue, 5);
  const bars = ["pathwise", "score function"].map((name, i) => {
    const plot = chart({
      x: { from: -80, to: 40, ticks: [-80, -40, 0, 40], label: i ? "slope in μ from one draw (line: exact)" : "" },
      y: { from: 0, to: 1.1, ticks: [], label: name },
      width: 260,
      height: i ? 115 : 100,
      top: 6,
    });
    return { plot, fill: plot.bars([green, vermilion][i]), exact: plot.line("currentColor", 1.5) };
  });
  parabola(grid(-5, 11, 160).map((z) => [z, loss(z)]));

  // Ways to change the state. Losses at another sigma, or with another epsilon, belong to another curve.
  function change(some) {
    const again = "sigma" in some || "kept" in some || ("fresh" in some && state.kept);
    Object.assign(state, some);
    if (!state.kept || "fresh" in some) state.epsilon = "kept" in some ? state.epsilon : roll();
    if (again) state.trail = [];
    state.trail = [
      ...state.trail.filter(([mu]) => mu !== state.mu || !state.kept),
      [state.mu, loss(state.mu + state.sigma * state.epsilon)],
    ].slice(-TRAIL);
    draw();
  }
  const dials = muAndSigma(ranges, 0.1, 1, change);
  const keep = element("input", { type: "checkbox", onchange: () => change({ kept: keep.checked }) });
  const readOut = element("p", { class: "read-out left" });
  root.append(
    element(
      "div",
      { class: "controls" },
      ...dials.boxes,
      element("label", {}, keep, " keep ε when μ or σ moves"),
      element("button", { type: "button", onclick: () => change({ fresh: true }) }, "Roll again"),
    ),
    element(
      "div",
      { class: "charts" },
      curve.svg,
      visited.svg,
      element("div", { class: "stack" }, ...bars.map(({ plot }) => plot.svg)),
    ),
    key([
      ["average of all draws", "currentColor"],
      ["this ε, and where it has been", sky],
      ["where it is", blue],
      ["pathwise", green],
      ["score function", vermilion],
    ]),
    readOut,
  );

  function drawNow() {
    const { mu, sigma, epsilon } = state,
      z = mu + sigma * epsilon,
      gradient = 2 * (z - target);
    dials.show(state);
    keep.checked = state.kept;
    cloud(
      grid(-5, 11, 320).map((value) => [
        value,
        (9 * Math.exp(-0.5 * ((value - mu) / sigma) ** 2)) / Math.max(sigma, 0.5),
      ]),
    );
    drop([
      [z, 0],
      [z, loss(z)],
    ]);
    dot([[z, loss(z)]]);
    drawArrow(z, loss(z), -REACH * gradient);
    const places = grid(-1.2, 7.2, 100);
    average(places.map((value) => [value, loss(value) + sigma ** 2]));
    kept(state.kept ? places.map((value) => [value, loss(value + sigma * epsilon)]) : []);
    trail(state.trail);
    here([[mu, loss(z)]]);
    const exact = 2 * (mu - target),
      known = variances(mu, sigma, target);
    const estimates = [0, 1].map((i) => Array.from(noise, (one) => slopes(mu, sigma, target, one)[i]));
    estimates.forEach((values, i) => {
      const counts = Array.from(EDGES.slice(1), () => 0);
      for (const value of values) counts[Math.min(Math.max(Math.floor(value) + 80, 0), counts.length - 1)] += 1;
      const most = Math.max(...counts);
      bars[i].fill(
        EDGES,
        counts.map((count) => count / most),
      );
      bars[i].exact([
        [exact, 0],
        [exact, 1.1],
      ]);
      bars[i].plot.alt(
        `Slopes from single draws, ${["pathwise", "by the score function"][i]}: standard deviation ${number(spread(values), 1)} around ${number(exact, 1)}`,
      );
    });
    const [path, score] = estimates,
      outside = score.filter((value) => value < -80 || value > 40).length / score.length;
    const edge = outside > 0.005 ? ` (${Math.round(100 * outside)} % beyond the axis, in its last bars)` : "";
    readOut.textContent =
      `ε = ${number(epsilon)} (${state.kept ? "kept" : "rolled anew at each move"}), so z = ${number(mu, 1)} + ${number(sigma, 1)} · (${number(epsilon)}) = ${number(z)}. ` +
      `Loss ${number(loss(z))}; its gradient ${number(gradient)} reaches μ as it is, and σ times ε: ${number(gradient * epsilon)}.\n` +
      `Slope of the average loss in μ: exactly ${number(exact)}. One draw says, pathwise, ${number(mean(path))} on average with standard deviation ${number(spread(path), 1)} (formula ${number(Math.sqrt(known[0]), 1)}); ` +
      `by the score function ${number(mean(score))} with ${number(spread(score), 1)} (formula ${number(Math.sqrt(known[1]), 1)})${edge}: ${Math.round(known[1] / known[0]).toLocaleString("en-US")} times the variance.`;
    curve.alt(
      `The loss (z − ${target})² with z at ${number(z)}, and an arrow toward ${gradient < 0 ? "larger" : "smaller"} z`,
    );
    visited.alt(
      `Losses against μ: now ${number(loss(z))} at μ = ${number(mu, 1)}; the average of all draws there is ${number(loss(mu) + sigma ** 2)}`,
    );
    say(readOut.textContent);
  }

  // From the dot, `long` units of z to the right; none where it would be shorter than its head.
  function drawArrow(z, height, long) {
    const [x, y, end] = [curve.toX(z), curve.toY(height), curve.toX(z + long)],
      way = Math.sign(end - x);
    const head = `M${end} ${y}l${-9 * way} -5v10z`;
    arrow.setAttribute("d", Math.abs(end - x) < 10 ? "" : `M${x} ${y}H${end - 9 * way}${head}`);
  }
  const draw = onceAFrame(drawNow);
  if (!state.trail.length) state.trail = [[state.mu, loss(state.mu + state.sigma * state.epsilon)]];
  drawNow();
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function spread(values) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
