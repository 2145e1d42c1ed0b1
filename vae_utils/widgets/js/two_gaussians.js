// Two Gaussians, and the KL divergence of one from the other as an area.

import { chart, key, muAndSigma } from "./chart.js";
import { announcer, element, number, onceAFrame } from "./live.js";

const HEIGHTS = [1, 2, 5, 14]; // of the second chart's axis; the smallest that holds the curve is used
const STEP = 0.0125; // of the axis of z
const AXIS = Array.from({ length: 4001 }, (_, i) => STEP * (i - 2000)); // so wide that every density is 0 at its ends
const SHOWN = AXIS.filter((z, i) => Math.abs(z) <= 5.2 && i % 2 === 0);

/** The density of N(mu, sigma^2) at z. */
const density = (z, mu, sigma) => Math.exp(-0.5 * ((z - mu) / sigma) ** 2) / (sigma * Math.sqrt(2 * Math.PI));

/** q log(q / p) at z for q = N(mu, sigma^2) and p = N(0, 1), or p log(p / q). */
export function integrand(z, mu, sigma, reverse) {
  const ratio = 0.5 * z * z - 0.5 * ((z - mu) / sigma) ** 2 - Math.log(sigma); // log q - log p
  return reverse ? -density(z, 0, 1) * ratio : density(z, mu, sigma) * ratio;
}

/** The areas above and below 0 between the integrand and the axis, both as positive numbers, by the trapezoid rule. */
export function areas(mu, sigma, reverse) {
  let above = 0,
    below = 0;
  for (const z of AXIS) {
    const value = STEP * integrand(z, mu, sigma, reverse);
    if (value > 0) above += value;
    else below -= value;
  }
  return [above, below];
}

/** KL(q || p) and KL(p || q) in nats (Kingma & Welling, 2014, appendix B). */
export function closedForms(mu, sigma) {
  return [
    0.5 * (mu * mu + sigma * sigma - 1) - Math.log(sigma),
    Math.log(sigma) + (1 + mu * mu) / (2 * sigma * sigma) - 0.5,
  ];
}

export function twoGaussians(root, data, state) {
  const { ranges } = data,
    { blue, orange } = data.palette;
  if (state.mu === undefined) Object.assign(state, { mu: data.mu, sigma: data.sigma, reverse: false });
  const say = announcer(root);
  const x = { from: -5, to: 5, ticks: [-4, -2, 0, 2, 4], label: "z" };
  const densities = chart({ x, y: { from: 0, to: 1.4, ticks: [0, 0.5, 1], label: "density" } });
  const pArea = densities.area("currentColor", 0.2),
    qArea = densities.area(blue, 0.35),
    qLine = densities.line(blue);
  const curve = chart({ x, y: { from: -0.35, to: 1, ticks: [0, 1] } });
  const more = curve.area(blue, 0.75),
    less = curve.area(orange, 0.85);
  const line = curve.line("currentColor", 1.2),
    zero = curve.line("currentColor", 0.8);

  const change = (some) => (Object.assign(state, some), draw());
  const dials = muAndSigma(ranges, 0.05, 2, change);
  const turn = element("input", { type: "checkbox", onchange: () => change({ reverse: turn.checked }) });
  const readOut = element("p", { class: "read-out left" });
  root.append(
    element(
      "div",
      { class: "controls" },
      ...dials.boxes,
      element("label", {}, turn, " the other way round: KL(p ‖ q)"),
    ),
    element("div", { class: "charts" }, densities.svg, curve.svg),
    key([
      ["p = N(0, 1)", "color-mix(in srgb, currentColor 30%, transparent)"],
      ["q = N(μ, σ²), and the area that counts", blue],
      ["the area that is taken off", orange],
    ]),
    readOut,
  );
  pArea(SHOWN.map((z) => [z, density(z, 0, 1)]));

  function drawNow() {
    const { mu, sigma, reverse } = state;
    dials.show(state);
    turn.checked = reverse;
    const q = SHOWN.map((z) => [z, density(z, mu, sigma)]);
    qArea(q);
    qLine(q);
    const values = SHOWN.map((z) => [z, integrand(z, mu, sigma, reverse)]);
    const highest = Math.max(...values.map(([, value]) => value));
    const top = HEIGHTS.find((height) => height >= 1.05 * highest) || HEIGHTS[HEIGHTS.length - 1];
    const name = reverse ? "KL(p ‖ q)" : "KL(q ‖ p)",
      what = reverse ? "p log(p / q)" : "q log(q / p)";
    curve.axis(
      { from: top < 1.5 ? -0.35 : -Math.max(0.3, 0.12 * top), to: top, ticks: [0, top / 2, top] },
      `${what}: its area is ${name}`,
    );
    more(values.map(([z, value]) => [z, Math.max(value, 0)]));
    less(values.map(([z, value]) => [z, Math.min(value, 0)]));
    line(values);
    zero([
      [-5, 0],
      [5, 0],
    ]);
    const [above, below] = areas(mu, sigma, reverse),
      exact = closedForms(mu, sigma);
    readOut.textContent =
      `q = N(${number(mu)}, ${number(sigma)}²), p = N(0, 1). ${name}: area above 0 ${number(above, 3)}, minus area below ` +
      `${number(below, 3)}, makes ${number(above - below, 4)} nats; the closed form says ${number(exact[reverse ? 1 : 0], 4)}.\n` +
      `The other way round, ${reverse ? "KL(q ‖ p)" : "KL(p ‖ q)"} = ${number(exact[reverse ? 0 : 1], 4)} nats.`;
    densities.alt(`Two densities: p around 0, and q around ${number(mu)} with standard deviation ${number(sigma)}`);
    curve.alt(`The curve ${what}: area ${number(above)} above 0 and ${number(below)} below`);
    say(readOut.textContent);
  }
  const draw = onceAFrame(drawNow);
  drawNow();
}
