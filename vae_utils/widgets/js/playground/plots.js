// What the playground draws: the plane with its clouds, and the curves.

import { element } from "../live.js";
import { figure, plain } from "./words.js";

const KL_COLORS = [2, 5]; // of data.colors: the two numbers of the code

/** Where a curve's axis of steps begins and ends, in CSS pixels from the left. */
const axisOf = (width) => [30, width - 6];

/** The step at so many CSS pixels from the left of a curve's canvas; null right of the axis. */
export function stepAt(steps, left, width) {
  const [from, to] = axisOf(width);
  return left > to ? null : (Math.max(steps, 100) * (left - from)) / (to - from);
}

/** A canvas's pen, in units of CSS pixels, on a clean canvas as sharp as the screen. */
function penOf(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas,
    scale = Math.min(devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

/** Where the clouds of a snapshot are, as drawClouds takes it. */
export const cloudsOf = ({ mu, sd, heldMu, heldSd }) => [mu, sd, heldMu, heldSd].map((part) => Float64Array.from(part));

/** Move clouds a part of their way to those of the snapshot; how far the farthest still has to go. */
export function ease(clouds, snapshot) {
  let far = 0;
  cloudsOf(snapshot).forEach((target, k) => {
    const part = clouds[k];
    for (let i = 0; i < part.length; i++) {
      const way = target[i] - part[i];
      part[i] = Number.isFinite(part[i] + way) ? part[i] + 0.22 * way : target[i];
      if (Math.abs(way) > far) far = Math.abs(way);
    }
  });
  return far;
}

/**
 * Draw the clouds on the plane; returns how many CSS pixels a unit of the code has.
 * @param {HTMLCanvasElement} canvas
 * @param {Float64Array[]} places as from cloudsOf
 */
export function drawClouds(canvas, places, { snapshot, data, ink }) {
  const [mu, sd, heldMu, heldSd] = places;
  const { pen, width } = penOf(canvas),
    { range } = snapshot;
  const unit = width / (2 * range),
    x = (z) => width / 2 + z * unit,
    y = (z) => width / 2 - z * unit;
  const clouds = snapshot.settings.noise === "on" || snapshot.settings.noise === "cut";
  const size = (value) => Math.min(Math.max(value * unit, 0), 4 * width) || 0;

  pen.strokeStyle = ink;
  pen.lineWidth = 1.25;
  pen.globalAlpha = 0.8;
  pen.setLineDash([4, 3]);
  for (const r of [1, 2, 3]) {
    pen.beginPath();
    pen.arc(width / 2, width / 2, r * unit, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.setLineDash([]);
  const n = data.trained;
  let area = 0;
  for (let i = 0; i < n; i++) area += Math.min(sd[2 * i] * sd[2 * i + 1], 1) / n || 0;
  const stride = 2 + Math.round(14 * area); // every other cloud, and fewer and fainter ones where they are large
  pen.globalAlpha = 0.1 / (1 + 4 * area);
  for (let i = 0; clouds && i < n; i += stride) {
    pen.fillStyle = data.colors[data.labels[i]];
    pen.beginPath();
    pen.ellipse(x(mu[2 * i]), y(mu[2 * i + 1]), size(sd[2 * i]), size(sd[2 * i + 1]), 0, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.globalAlpha = 0.95;
  for (const label of [0, 1]) {
    pen.fillStyle = data.colors[label];
    pen.strokeStyle = "rgba(255, 255, 255, 0.75)";
    pen.lineWidth = 0.7;
    pen.beginPath();
    for (let i = 0; i < n; i++) {
      if (data.labels[i] !== label) continue;
      const left = x(mu[2 * i]),
        top = y(mu[2 * i + 1]);
      if (label) pen.rect(left - 2.3, top - 2.3, 4.6, 4.6);
      else {
        pen.moveTo(left + 2.6, top);
        pen.arc(left, top, 2.6, 0, 2 * Math.PI);
      }
    }
    pen.fill();
    pen.stroke();
  }
  pen.globalAlpha = 1;
  for (const label of [0, 1]) {
    const center = [x(heldMu[2 * label]), y(heldMu[2 * label + 1])];
    drawFollowed(pen, data, label, center, [size(heldSd[2 * label]), size(heldSd[2 * label + 1])], clouds, width);
  }
  return unit;
}

/** The cat or the dog that the course follows: its cloud to 2 sd, its name. */
function drawFollowed(pen, data, label, center, radii, cloud, width) {
  const [left, top] = center,
    [a, b] = radii;
  const color = data.colors[label],
    name = data.names[label];
  for (const [ink, thick] of [
    ["#fff", 4.5],
    [color, 2.5],
  ]) {
    pen.strokeStyle = ink;
    pen.lineWidth = thick;
    pen.beginPath();
    if (cloud) pen.ellipse(left, top, Math.max(2 * a, 3), Math.max(2 * b, 3), 0, 0, 2 * Math.PI);
    else pen.arc(left, top, 6, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.font = "600 13px system-ui, sans-serif";
  const wide = pen.measureText(name).width;
  const beside = label ? left + 8 : left - 8 - wide; // each on its own side, for when they meet
  const right = Math.min(Math.max(beside, 4), width - wide - 4),
    above = Math.min(Math.max(top - 8, 14), width - 6);
  pen.lineJoin = "round";
  pen.strokeStyle = "#fff";
  pen.lineWidth = 4;
  pen.strokeText(name, right, above);
  pen.fillStyle = "#222";
  pen.fillText(name, right, above);
}

/** One of the three curves, from step 0 on, and its present value in words. */
export function drawCurve(curve, { snapshot, data, noted, distances, marks, ink }) {
  const { pen, width, height } = penOf(curve.canvas);
  const silentKl = curve.key === "kl" && snapshot.settings.noise === "none";
  const lines = {
    nll: () => [noted.map(([step, nll]) => [step, nll - snapshot.floor])],
    kl: () => [2, 3].map((place) => noted.map((point) => [point[0], point[place]])),
    distance: () => [distances],
  }[curve.key]();
  const { nll, kl, distance } = snapshot.figures;
  const values = { nll: [figure(nll, 1)], kl: kl.map((value) => figure(value, 2)), distance: [figure(distance, 2)] }[
    curve.key
  ];
  const colors = { nll: [ink], kl: KL_COLORS.map((i) => data.colors[i]), distance: [ink] }[curve.key];
  const sign = (i) =>
    element("span", {
      class: i ? "pg-line dashed" : "pg-line",
      style: `border-color: ${colors[i]}`,
      "aria-hidden": "true",
    });
  curve.value.replaceChildren(
    ...(silentKl
      ? ["not in the loss"]
      : values.flatMap((value, i) => (curve.key === "kl" ? [sign(i), ` ${value} `] : [value]))),
  );
  curve.canvas.setAttribute(
    "aria-label",
    `${curve.title}, ${curve.unit}: now ${silentKl ? "not in the loss" : values.join(" and ")}`,
  );

  const bottom = height - 15,
    [left, right] = axisOf(width);
  const last = Math.max(snapshot.steps, 100);
  // the first steps of a curve may be far above all others: show the rest well
  const heights = lines
    .flat()
    .map(([, value]) => value)
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const most = Math.max(
    heights[Math.floor(0.97 * (heights.length - 1))] * 1.15 || 0,
    { nll: 50, kl: 1, distance: 1 }[curve.key],
  );
  const x = (step) => left + ((right - left) * step) / last,
    y = (value) => bottom - (bottom - 6) * Math.min(value / most, 1);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.35;
  pen.beginPath();
  pen.moveTo(left, 4);
  pen.lineTo(left, bottom);
  pen.lineTo(right, bottom);
  marks.forEach((step) => {
    // where a setting was changed
    pen.moveTo(x(step), 4);
    pen.lineTo(x(step), bottom);
  });
  pen.stroke();
  pen.globalAlpha = 1;
  pen.textAlign = "right";
  pen.fillText("0", left - 4, bottom + 2);
  const tick = [1, 2, 5].map((m) => m * 10 ** Math.floor(Math.log10(most / m))).sort((a, b) => b - a)[0];
  pen.fillText(
    tick >= 1e4 ? tick.toExponential(0).replace("+", "") : plain(Number(tick.toPrecision(1))),
    left - 4,
    y(tick) + 4,
  );
  pen.globalAlpha = 0.35;
  pen.fillRect(left - 3, y(tick), 3, 1);
  pen.globalAlpha = 1;
  pen.fillText(`step ${last.toLocaleString("en-US")}`, right, height - 3);
  if (silentKl) return;
  lines.forEach((points, i) => {
    pen.strokeStyle = colors[i];
    pen.lineWidth = 2;
    pen.setLineDash(i ? [5, 3] : []);
    pen.beginPath();
    const every = Math.max(1, Math.floor(points.length / 400));
    points.forEach(([step, value], k) => {
      if ((k % every && k !== points.length - 1) || !Number.isFinite(value)) return;
      pen.lineTo(x(step), y(Math.max(value, 0)));
    });
    pen.stroke();
  });
  pen.setLineDash([]);
}
