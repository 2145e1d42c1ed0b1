// A chart as an SVG drawing: axes with ticks, and lines, areas, bars and dots in the data's own units.

import { element, fill, number, shape, slider } from "./live.js";

const LEFT = 46,
  RIGHT = 8,
  BOTTOM = 38; // margins, in the units of the drawing

/**
 * An empty chart. x and y: {from, to, ticks, label}, where a tick is a value, or [value, its words]; alt: how it is
 * called. What it returns: svg; mark(tag, attributes), a shape in the chart's own order; and, of such shapes,
 * line, area, dots and bars, each of which returns a function that takes the data and draws them; axis(y, title)
 * changes the vertical axis and the title; alt(words) changes the name.
 *
 * @typedef {{from: number, to: number, ticks: (number | [number, string])[], label?: string}} Axis
 * @param {{x: Axis, y: Axis, title?: string, width?: number, height?: number, top?: number}} settings
 */
export function chart({ x, y, title = "", width = 340, height = 230, top = 24 }) {
  const wide = width - LEFT - RIGHT,
    tall = height - top - BOTTOM;
  let limits = y;
  const toX = (value) => (wide * (value - x.from)) / (x.to - x.from);
  const toY = (value) => (tall * (limits.to - value)) / (limits.to - limits.from);
  const words = (attributes, ...text) => shape("text", attributes, ...text);
  const inside = shape("svg", { x: LEFT, y: top, width: wide, height: tall, viewBox: `0 0 ${wide} ${tall}` });
  const upright = shape("g");
  const head = words({ class: "chart-title", x: LEFT + wide / 2, y: 14, "text-anchor": "middle" });
  const across = tickList(x.ticks).flatMap(([value, text]) => [
    shape("path", { class: "axis", d: `M${LEFT + toX(value)} ${top + tall}v4` }),
    words({ class: "tick", x: LEFT + toX(value), y: top + tall + 15, "text-anchor": "middle" }, text),
  ]);
  const svg = shape(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img" },
    inside,
    ...across,
    upright,
    head,
    shape("path", { class: "axis", d: `M${LEFT} ${top}V${top + tall}H${LEFT + wide}` }),
    words({ class: "label", x: LEFT + wide / 2, y: height - 5, "text-anchor": "middle" }, x.label),
  );

  const path = (points) =>
    points.map(([a, b], i) => `${i ? "L" : "M"}${toX(a).toFixed(2)} ${toY(b).toFixed(2)}`).join("");
  const mark = (tag, attributes) => inside.appendChild(shape(tag, attributes));
  const drawn = (attributes, toPath) => {
    const made = mark("path", attributes);
    return (...data) => made.setAttribute("d", toPath(...data));
  };
  const box = (left, right, high) =>
    `M${toX(left).toFixed(2)} ${toY(0).toFixed(2)}V${toY(high).toFixed(2)}H${toX(right).toFixed(2)}V${toY(0).toFixed(2)}z`;
  const disc = ([a, b], r) =>
    `M${(toX(a) - r).toFixed(2)} ${toY(b).toFixed(2)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

  function axis(next, title) {
    limits = { ...limits, ...next };
    head.textContent = title;
    const ticks = tickList(limits.ticks).flatMap(([value, text]) => [
      shape("path", { class: "axis", d: `M${LEFT} ${top + toY(value)}h-4` }),
      words({ class: "tick", x: LEFT - 7, y: top + toY(value) + 4, "text-anchor": "end" }, text),
    ]);
    const middle = top + tall / 2;
    const label = { class: "label", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` };
    upright.replaceChildren(...ticks, words(label, limits.label || ""));
  }

  axis(y, title);
  return {
    svg,
    mark,
    toX,
    toY,
    axis,
    line: (stroke, width = 2, more = {}) => drawn({ fill: "none", stroke, "stroke-width": width, ...more }, path),
    area: (color, opacity) =>
      drawn({ fill: color, "fill-opacity": opacity }, (points) => {
        const [[first], [last]] = [points[0], points[points.length - 1]];
        return `${path(points)}L${toX(last).toFixed(2)} ${toY(0).toFixed(2)}L${toX(first).toFixed(2)} ${toY(0).toFixed(2)}z`;
      }),
    bars: (color) =>
      drawn({ fill: color }, (edges, heights) =>
        heights.map((high, i) => (high ? box(edges[i], edges[i + 1], high) : "")).join(""),
      ),
    dots: (color, r = 4) => drawn({ fill: color }, (points) => points.map((point) => disc(point, r)).join("")),
    alt: (sentence) => svg.setAttribute("aria-label", sentence),
  };
}

const tickList = (ticks) =>
  ticks.map((tick) => (Array.isArray(tick) ? tick : [tick, number(tick, Number.isInteger(tick) ? 0 : 1)]));

/**
 * A line that says which color means what.
 * @param {string[][]} entries words and color of each
 */
export function key(entries) {
  const swatch = (color) => element("span", { class: "swatch", style: `background: ${color}`, "aria-hidden": "true" });
  return element(
    "p",
    { class: "legend" },
    ...entries.map(([words, color]) => element("span", {}, swatch(color), ` ${words}`)),
  );
}

/**
 * A slider in a row with its name and its value. set(value) moves it; text(value) is what is written behind it.
 * @param {string} name
 * @param {HTMLInputElement} input
 * @param {(value: number) => string} text
 */
export function dial(name, input, text) {
  const value = element("span", { class: "dial-value", "aria-hidden": "true" });
  const box = element("label", { class: "dial" }, element("span", {}, name), input, value);
  const set = (now) => {
    input.value = now;
    value.textContent = text(now);
    fill(input, { "aria-valuetext": text(now) }, []);
  };
  return { box, set };
}

/** The dials of mu and sigma: their boxes, and show(state), which sets them. change({mu}) or change({sigma}) follows a move. */
export function muAndSigma(ranges, step, digits, change) {
  const dials = [
    ["μ", "mu"],
    ["σ", "sigma"],
  ].map(([name, of]) => {
    const [low, high] = ranges[of];
    const input = slider(name, low, high, step, (value) => change({ [of]: value }));
    return { of, ...dial(name, input, (value) => number(value, digits)) };
  });
  return { boxes: dials.map(({ box }) => box), show: (state) => dials.forEach(({ of, set }) => set(state[of])) };
}
