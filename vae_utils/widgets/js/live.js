// What all live figures share: making elements, starting, drawing once a frame, dragging, keys, and telling.

/**
 * element("p", {class: "note", onclick: f}, "text", another element): a new element of the page.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string | null | undefined)[]} children
 * @returns {any}
 */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for the shapes of a drawing.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string | null | undefined)[]} children
 * @returns {any}
 */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * Start a figure: build(root, data, state) puts it where its still picture stands.
 *
 * A page may hold several copies of one output, and JupyterLab may throw an output away and draw it again, which runs
 * its script again. So a figure keeps what the reader did in `state`, and the page keeps the states by the figure's id.
 * @param {string} id
 * @param {(root: HTMLElement, data: any, state: any) => void} build
 * @param {any} data
 * @param {string} style
 */
export function start(id, build, data, style) {
  const all = /** @type {any} */ (window);
  const states = (all.vaeLiveStates = all.vaeLiveStates || {});
  const state = (states[id] = states[id] || {});
  const page = /** @type {any} */ (document.currentScript ? document.currentScript.getRootNode() : document);
  for (const place of page.querySelectorAll(`[data-live="${id}"]`)) {
    if (place.liveStarted) continue; // a mark on the element, not in the page's text
    place.liveStarted = true;
    const still = place.querySelector(".vae-live-still");
    place.querySelectorAll(".vae-live").forEach((old) => old.remove()); // from a page that was saved while it moved
    const root = element("div", { class: "vae-live" });
    place.append(element("style", {}, style), root);
    try {
      build(root, data, state);
      keepKeys(root);
      if (still) still.hidden = true;
    } catch (/** @type {any} */ error) {
      root.replaceChildren(trouble(`This figure could not start (${error.message}). Its picture stays as it was.`));
    }
  }
}

/**
 * A sentence in place of what could not be drawn.
 * @param {string} sentence
 */
export function trouble(sentence) {
  return element("p", { class: "trouble", role: "alert" }, sentence);
}

export const NOT_FINITE =
  "Nothing to draw: the decoder's numbers are not finite (NaN). Train the model again, in smaller steps.";

// The keys that move things belong to the figure while it has the focus; else JupyterLab would jump between cells.
function keepKeys(root) {
  const keys = /^(Arrow.*|Home|End|PageUp|PageDown|Enter| )$/;
  root.addEventListener("keydown", (event) => {
    const control = event.target.closest("input, button, select, [tabindex]");
    const command = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    if (control && !command && keys.test(event.key)) event.stopPropagation();
  });
}

/**
 * The same function, run at most once a frame, however often it is called.
 * @param {() => void} draw
 */
export function onceAFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

/**
 * A place for sentences that a screen reader reads out: the last one, once the hand has rested for a moment.
 * @param {Element} root
 * @returns {(sentence: string) => void}
 */
export function announcer(root) {
  const place = element("p", { class: "only-heard", role: "status", "aria-live": "polite" });
  root.append(place);
  let timer;
  return (sentence) => {
    clearTimeout(timer);
    timer = setTimeout(() => (place.textContent = sentence), 500);
  };
}

/**
 * Mouse, finger or pen on an element, as places from 0 to 1, from the left and from the top.
 * moved(x, y) while it is held down, hovered(x, y) while it is not, left() when it goes, tapped(x, y) after a short touch.
 * @param {HTMLElement} target
 * @param {Record<"moved" | "hovered" | "tapped", (x: number, y: number) => void> & {left: () => void}} does
 */
export function handle(target, { moved, hovered, left, tapped }) {
  let from = null; // where it was put down
  let strayed = false;
  /** @returns {[number, number]} */
  const place = (event) => {
    const box = target.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    target.setPointerCapture(event.pointerId);
    target.focus({ preventScroll: true });
    from = [event.clientX, event.clientY];
    strayed = false;
    moved(...place(event));
  });
  target.addEventListener("pointermove", (event) => {
    if (from === null) return hovered(...place(event));
    strayed = strayed || Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 4;
    moved(...place(event));
  });
  target.addEventListener("pointerup", (event) => {
    if (from !== null && !strayed) tapped(...place(event));
    from = null;
  });
  target.addEventListener("pointercancel", () => (from = null));
  target.addEventListener("pointerleave", () => left());
}

/**
 * A square drawing of this side on which a point is moved, by hand or by keys.
 * @param {number} side
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} marks
 */
export function movable(side, attributes, ...marks) {
  const named = { role: "slider", "aria-roledescription": "point on a plane", ...attributes };
  return shape("svg", { viewBox: `0 0 ${side} ${side}`, class: "plane", tabindex: 0, ...named }, ...marks);
}

/**
 * A slider from low to high; changed(value) while it moves. Arrow keys make a step, with Shift a longer one.
 * @param {string} label
 * @param {number} low
 * @param {number} high
 * @param {number} step
 * @param {(value: number) => void} changed
 */
export function slider(label, low, high, step, changed) {
  const input = element("input", { type: "range", min: low, max: high, step, "aria-label": label });
  input.addEventListener("input", () => changed(Number(input.value)));
  input.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way || !event.shiftKey) return;
    event.preventDefault();
    input.value = Number(input.value) + 5 * way * step;
    changed(Number(input.value));
  });
  return input;
}

/**
 * A number as it is written in the course: a real minus sign.
 * @param {number} value
 * @param {number} digits
 */
export const number = (value, digits = 2) =>
  value
    .toFixed(digits)
    .replace("-", "−")
    .replace(/^−(0\.?0*)$/, "$1");

// "a cat", "an owl", "a 3".
export const a = (name) => (/^[aeio8]/i.test(name) ? `an ${name}` : `a ${name}`);

// A canvas for one picture, with its caption; show(canvas) draws, caption(text) writes below.
export function pictureBox([, height, width], caption) {
  const canvas = element("canvas", { width, height, role: "img", "aria-label": caption });
  const words = element("figcaption", {}, caption);
  return { canvas, words, box: element("figure", { class: "picture" }, canvas, words) };
}

// Real pictures come as one sprite, side by side in rows. drawReal(canvas, i) draws the picture number i.
export function openSprite({ sprite, columns, shape: [, height, width] }, ready) {
  const image = new Image();
  image.onload = ready;
  image.src = sprite;
  return (canvas, i, left = 0) => {
    if (!image.complete || !image.naturalWidth) return;
    const from = [(i % columns) * width, Math.floor(i / columns) * height];
    canvas.getContext("2d").drawImage(image, ...from, width, height, left, 0, width, height);
  };
}

// Shapes of dots, one for each class, so that color is not all that tells them apart. With more than four classes,
// the class's own first letter or number is the dot.
const SHAPES = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
  "M-3.6-3.6h7.2v7.2h-7.2z",
  "M0-4.8l4.6 8h-9.2z",
  "M0-5.2l5.2 5.2l-5.2 5.2l-5.2-5.2z",
];

export function dot(label, names, colors) {
  const fill = colors[label % colors.length];
  if (names.length <= SHAPES.length) return shape("path", { d: SHAPES[label], fill, class: "dot" });
  const signs = names.every((name) => name.length === 1) ? names : names.map((_, i) => String(i));
  return shape("text", { fill, class: "dot sign" }, signs[label]);
}

export function legend(names, colors, clouds) {
  const entries = names.map((name, label) => {
    const mark = shape(
      "svg",
      { viewBox: "-7 -7 14 14", width: 14, height: 14, "aria-hidden": "true" },
      dot(label, names, colors),
    );
    return element("span", {}, mark, names.length > SHAPES.length && name.length === 1 ? null : ` ${name}`);
  });
  const ring = (attributes) =>
    shape(
      "svg",
      { viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true" },
      shape("circle", { r: 6.5, ...attributes }),
    );
  if (clouds) entries.push(element("span", {}, ring({ class: "prior" }), " prior"));
  if (clouds)
    entries.push(
      element(
        "span",
        {},
        ring({ class: "cloud", fill: colors[0] }),
        " cloud of the chosen picture (rings at 1 and 2 standard deviations)",
      ),
    );
  return element("p", { class: "legend" }, "Dots are codes of real pictures:", ...entries);
}
