// The page's side of the playground: controls, the plane with its clouds, pictures, curves, and a text of what happens.
// The numbers come as snapshots from a trainer, which runs in a worker or in slices in the page.

import { announcer, element, trouble } from "../live.js";
import { connect } from "./connect.js";
import { makeControls } from "./controls.js";
import { complete, DEFAULTS, fromHash, LESSONS, lessonCalled, lessonOf, toHash, trained } from "./lessons.js";
import { cloudsOf, drawClouds, drawCurve, ease, stepAt } from "./plots.js";
import { SHOWN, SIDE, TILES } from "./trainer.js";
import { figure, placeInWords, stepInWords, table, tell } from "./words.js";

/**
 * As all live figures: build(root, data, state). Where JupyterLab draws an output anew, the run goes on as it was; a
 * second copy of an output beside the first gets a run of its own. Old runs that are nowhere to be seen are given up.
 */
export function buildPlayground(root, data, state) {
  const page = /** @type {any} */ (window);
  const { kept } = state,
    all = (page.vaePlaygrounds = page.vaePlaygrounds || []);
  if (!kept || kept.box.isConnected) {
    state.kept = new View(data, announcer);
    all.push(state.kept);
    const gone = all.filter(({ box }) => !box.isConnected && box !== state.kept.box);
    gone.slice(0, -2).forEach((view) => view.close());
  }
  root.append(element("style", {}, data.style), state.kept.box);
  state.kept.arrive();
}

const CURVES = [
  { key: "nll", title: "What comes back wrong", unit: "nll above its floor, in nats" },
  { key: "kl", title: "KL", unit: "of each number, in nats" },
  { key: "distance", title: "Distance from N(0, I)", unit: "of all codes together (Fréchet)" },
];
const TOLD_AT = [100, 300, 1000, 3000]; // steps at which a screen reader is told how it goes

function pictureRow(rows, label) {
  return element("canvas", {
    class: "pg-row",
    width: SHOWN * SIDE,
    height: rows * SIDE,
    role: "img",
    "aria-label": label,
  });
}

class View {
  constructor(data, announcer) {
    this.data = data;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    const given = lessonCalled(data.lesson),
      begin = complete({ ...data.settings, ...given?.settings });
    const asked = (data.address && fromHash(location.hash)) || { settings: begin, lesson: given || lessonOf(begin) };
    this.settings = asked.settings;
    this.lesson = asked.lesson;
    this.wants = null; // to run; null before it came into view
    this.running = this.inView = false;
    this.snapshot = null;
    this.eased = null; // the clouds on their way
    this.drawn = null;
    this.look = "";
    this.said = 0;
    this.forget();
    this.make();
    this.say = announcer(this.box);
    this.showSettings();
    this.watch();
    this.open();
  }

  /** An empty history. */
  forget() {
    this.noted = []; // averages over a few steps each
    this.distances = [];
    this.marks = []; // steps at which a setting was changed
    this.told = 0;
  }

  // ---- Elements ---------------------------------------------------------------------------------------------------

  make() {
    const button = (words, does, more = {}) => element("button", { type: "button", onclick: does, ...more }, words);
    this.lessons = LESSONS.map((lesson) => button(lesson.name, () => this.teach(lesson), { "data-lesson": lesson.id }));
    this.says = element("p", { class: "says" });
    this.playButton = button("Pause", () => this.play(!this.wants), { class: "play" });
    this.stepButton = button("One step", () => this.oneStep());
    this.seed = element("input", {
      type: "number",
      min: 0,
      max: 999999,
      step: 1,
      inputmode: "numeric",
      "aria-label": "Seed",
    });
    this.seed.addEventListener("change", () => this.set({ seed: this.seed.value }, true));
    this.count = element("span", { class: "count" });
    this.link = button("Copy link", () => this.copyLink());
    this.link.hidden = !(this.data.address || this.data.site);
    this.address = element("input", {
      type: "text",
      readonly: true,
      hidden: true,
      class: "address",
      "aria-label": "What to copy",
    });

    this.mosaic = element("canvas", {
      class: "mosaic",
      width: TILES * SIDE,
      height: TILES * SIDE,
      "aria-hidden": "true",
    });
    this.plane = element("canvas", { class: "clouds", role: "img", "aria-label": "The plane of codes" });
    this.alarm = element("div", { class: "alarm", role: "alert", hidden: true });
    this.again = pictureRow(2, "Pictures held out of training, and below them what comes back");
    this.samples = pictureRow(1, "Pictures decoded from codes drawn from the prior");
    this.originals = document.createElement("canvas");
    this.curves = CURVES.map((curve) => {
      const canvas = element("canvas", { role: "img", "aria-label": curve.title });
      const value = element("span", { class: "pg-value" });
      return { ...curve, canvas, value };
    });
    this.readOut = element("p", { class: "told" });
    this.trains = element("p", { class: "trains" });
    this.pointed = element("p", { class: "pointed", "aria-hidden": "true" }); // a screen reader hears the same in `told`
    this.copyNumbers = button("Copy numbers", () =>
      this.copy(table(this.noted, this.snapshot?.floor), this.copyNumbers, "The numbers are copied."),
    );

    this.controls = makeControls(
      () => this.settings,
      (some, restarts) => this.set(some, restarts),
    );
    const { names, colors } = this.data;
    const mark = (label) =>
      element("span", {
        class: label ? "pg-mark square" : "pg-mark",
        style: `background: ${colors[label]}`,
        "aria-hidden": "true",
      });
    const key = (label) => element("span", {}, mark(label), ` ${names[label]}`);
    const ring = element("span", { class: "pg-mark ring", "aria-hidden": "true" });
    this.box = element(
      "div",
      { class: "playground", role: "group", "aria-label": "A small VAE that trains in this page" },
      element("div", { class: "controls lessons", role: "group", "aria-label": "Lessons" }, ...this.lessons),
      this.says,
      element(
        "div",
        { class: "controls transport" },
        this.playButton,
        this.stepButton,
        button("Restart", () => this.restart()),
        element("label", {}, "seed ", this.seed),
        this.link,
        this.copyNumbers,
        this.address,
        this.count,
      ),
      element(
        "div",
        { class: "desk-of-two" },
        element(
          "figure",
          { class: "plane-figure" },
          element("div", { class: "frame" }, this.mosaic, this.plane, this.alarm),
          element("figcaption", {}, key(0), key(1), element("span", {}, ring, " prior: 1, 2, 3 sd")),
        ),
        element(
          "div",
          { class: "beside" },
          element("p", { class: "pg-title" }, "Held-out pictures, and what comes back"),
          this.again,
          element("p", { class: "pg-title" }, "Decoded from codes drawn from N(0, I)"),
          this.samples,
          element(
            "div",
            { class: "settings", role: "group", "aria-label": "Settings" },
            ...this.controls.map(({ box }) => box),
          ),
        ),
      ),
      element(
        "div",
        { class: "curves" },
        ...this.curves.map(({ title, unit, canvas, value }) =>
          element(
            "figure",
            {},
            element("figcaption", {}, element("b", {}, title), value, element("span", { class: "unit" }, unit)),
            canvas,
          ),
        ),
      ),
      this.pointed,
      this.trains,
      this.readOut,
    );
    this.point();
  }

  /** The value under the pointer: a place of the plane and the nearest cloud, or a step of the curves. */
  point() {
    const over = (target, words) => {
      const tell = ({ clientX, clientY }) => {
        const box = target.getBoundingClientRect();
        const told = this.snapshot && words((clientX - box.left) / box.width, (clientY - box.top) / box.height, box);
        this.pointed.textContent = told || "";
      };
      for (const when of ["pointermove", "pointerdown"]) target.addEventListener(when, tell);
      target.addEventListener("pointerleave", () => (this.pointed.textContent = ""));
    };
    over(this.plane, (right, down) => placeInWords(this.snapshot, this.data, right, down));
    this.curves.forEach(({ canvas }) => over(canvas, (right, _, { width }) => this.step(right * width, width)));
  }

  // ---- The run ----------------------------------------------------------------------------------------------------

  /** Read the pictures and start a trainer. */
  open() {
    const image = new Image();
    image.onload = () => {
      const { width, height } = image;
      const canvas = element("canvas", { width, height }),
        pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.drawImage(image, 0, 0);
      const bytes = pen.getImageData(0, 0, width, height).data,
        columns = width / SIDE,
        plane = SIDE * SIDE;
      const all = new Uint8Array(3 * plane * columns * (height / SIDE));
      for (let i = 0; i < all.length; i++) {
        const picture = Math.floor(i / (3 * plane)),
          color = Math.floor((i % (3 * plane)) / plane),
          p = i % plane;
        const x = (picture % columns) * SIDE + (p % SIDE),
          y = Math.floor(picture / columns) * SIDE + Math.floor(p / SIDE);
        all[i] = bytes[4 * (y * width + x) + color];
      }
      const split = this.data.trained * 3 * plane;
      this.pictures = { pixels: 3 * plane, train: all.slice(0, split), held: all.slice(split) };
      Object.assign(this.originals, { width: SHOWN * SIDE, height: SIDE });
      const [x, y] = [this.data.trained % columns, Math.floor(this.data.trained / columns)].map(
        (place) => place * SIDE,
      );
      this.originals.getContext("2d").drawImage(canvas, x, y, SHOWN * SIDE, SIDE, 0, 0, SHOWN * SIDE, SIDE);
      this.connection = connect(this.data.worker, (snapshot) => this.receive(snapshot), this.data.inPage);
      this.connection.post({ type: "start", pictures: this.pictures, settings: this.settings, plan: this.newPlan() });
      this.obey();
    };
    image.onerror = () => this.box.replaceChildren(trouble("This page cannot read the playground's pictures (WebP)."));
    image.src = this.data.sheet;
  }

  /** What the lesson will change by itself, until the reader changes something. */
  newPlan() {
    this.plan = this.lesson?.later || null;
    return this.plan;
  }

  /** New settings: at once where the network stays as it is, from the start where it does not. */
  set(some, restarts = false) {
    const before = this.settings;
    this.settings = complete({ ...before, ...some });
    this.lesson = restarts && "seed" in some ? this.lesson : lessonOf(this.settings);
    this.plan = null;
    if (!restarts && this.snapshot) this.marks.push(this.snapshot.steps);
    this.showSettings();
    if (!this.connection) return;
    if (restarts || this.snapshot?.status === "diverged") this.restart();
    else this.connection.post({ type: "change", settings: this.settings });
  }

  teach(lesson) {
    this.lesson = lesson;
    this.settings = complete({ ...lesson.settings, seed: this.settings.seed });
    this.showSettings();
    this.restart();
    this.play(true);
    this.say(`${lesson.name}. ${lesson.says}`);
  }

  restart() {
    this.forget();
    this.eased = null;
    this.running = false;
    this.connection?.post({ type: "pause" });
    if (this.lesson?.later) this.settings = complete({ ...this.lesson.settings, seed: this.settings.seed });
    this.showSettings();
    this.awaiting = Boolean(this.connection); // what is still on its way belongs to the run before
    if (this.snapshot) this.snapshot = { ...this.snapshot, status: "fine" };
    this.connection?.post({ type: "restart", settings: this.settings, plan: this.newPlan() });
    if (this.still.matches && this.wants === null) this.wants = false;
    this.obey();
  }

  play(wanted) {
    if (wanted && this.snapshot?.status === "diverged") this.restart();
    this.wants = wanted;
    this.obey();
    if (this.snapshot) this.say(wanted ? "Training." : `Paused. ${this.tell}`);
  }

  oneStep() {
    if (this.snapshot?.status === "diverged") return;
    this.wants = false;
    this.obey();
    this.connection?.post({ type: "step" });
    this.tellNext = true;
  }

  /** Let the trainer run where it is wanted and seen, and rest where it is not. */
  obey() {
    const fine = this.snapshot === null || this.snapshot.status === "fine";
    const should = Boolean(this.wants && this.inView && !document.hidden && this.connection);
    if (should !== this.running && (fine || !should)) {
      this.running = should;
      this.connection?.post({ type: should ? "run" : "pause" });
    }
    this.playButton.textContent = this.wants ? "Pause" : "Play";
    this.box.dataset.running = String(this.running);
  }

  /** Train only while it can be seen. The first time it comes into view it starts, unless motion is unwanted. */
  watch() {
    this.observer = new IntersectionObserver(
      (entries) => {
        const { isIntersecting, intersectionRatio } = entries[entries.length - 1];
        this.inView = isIntersecting;
        if (this.wants === null && intersectionRatio >= 0.2) this.wants = !this.still.matches;
        this.obey();
      },
      { threshold: [0, 0.2] },
    );
    this.observer.observe(this.box);
    new ResizeObserver(() => this.draw()).observe(this.box);
    document.addEventListener("visibilitychange", () => this.obey());
    if (this.data.address) {
      addEventListener("hashchange", () => {
        const found = fromHash(location.hash);
        if (!found || toHash(found.settings, found.lesson) === toHash(this.settings, this.lesson)) return;
        Object.assign(this, found);
        this.restart();
      });
    }
    for (const what of [matchMedia("(prefers-color-scheme: dark)"), this.still])
      what.addEventListener("change", () => this.draw());
    // JupyterLab and the site change their looks by an attribute
    const looks = new MutationObserver(() => this.draw());
    for (const where of [document.documentElement, document.body]) looks.observe(where, { attributes: true });
    // typing in a field is no command to the notebook around it
    this.box.addEventListener("keydown", (event) => {
      const typed = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (typed && event.target.closest("select, input, button")) event.stopPropagation();
    });
  }

  /** In the page (again). A run that was given up starts anew. */
  arrive() {
    if (this.closed) {
      this.closed = false;
      this.open();
    }
    this.draw();
  }

  /** Give up the run and its worker. */
  close() {
    this.connection?.close();
    this.connection = this.snapshot = null;
    this.running = this.awaiting = false;
    this.closed = true;
    this.forget();
  }

  receive(snapshot) {
    if (this.awaiting && !snapshot.fresh) return;
    if (snapshot.fresh) this.forget();
    this.awaiting = false;
    this.box.dataset.where = this.connection.where;
    this.snapshot = snapshot;
    if (this.plan && snapshot.steps > this.plan.at) {
      this.marks.push(this.plan.at);
      this.settings = complete({ ...this.settings, ...this.plan.settings });
      this.plan = null;
      this.showSettings();
    }
    this.noted.push(...snapshot.noted);
    const { distance } = snapshot.figures;
    if (Number.isFinite(distance) && this.distances.at(-1)?.[0] !== snapshot.steps)
      this.distances.push([snapshot.steps, distance]);
    if (this.running && !snapshot.running) {
      if (snapshot.status === "diverged" || snapshot.finished) {
        this.running = this.wants = false;
        if (snapshot.finished) this.say(`It pauses by itself after ${snapshot.steps} steps. ${this.tell}`);
        this.obey();
      }
    }
    this.showAlarm();
    const milestone = TOLD_AT.filter((step) => step <= snapshot.steps).length;
    if (milestone > this.told || this.tellNext) this.say(this.tell);
    this.told = milestone;
    this.tellNext = false;
    this.draw();
    const drawn = () => this.connection?.post({ type: "drawn" });
    if (this.still.matches && snapshot.running) setTimeout(drawn, 1000);
    else requestAnimationFrame(drawn);
  }

  /** What is to be seen, in sentences. */
  get tell() {
    return tell(this.snapshot, this.data.trained);
  }

  step(left, width) {
    return stepInWords(stepAt(this.snapshot.steps, left, width), this.noted, this.snapshot.floor);
  }

  showSettings() {
    const { lesson } = this;
    this.lessons.forEach((button) => button.setAttribute("aria-pressed", String(lesson?.id === button.dataset.lesson)));
    this.says.textContent = lesson
      ? lesson.says
      : "Your own settings. Change one thing at a time, and say first what you expect.";
    this.controls.forEach(({ show }) => show());
    this.trains.textContent = trained(this.settings, 3 * SIDE * SIDE);
    this.seed.value = this.settings.seed;
    this.address.hidden = true;
    if (!this.data.address) return;
    const hash = toHash(this.settings, lesson),
      known = fromHash(location.hash);
    if (hash || known) history.replaceState(history.state, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  async copyLink() {
    const here = this.data.address ? location.href.split("#")[0] : this.data.site;
    const hash = toHash(this.settings, this.lesson);
    await this.copy(hash ? `${here}#${hash}` : here, this.link, "The link is copied.");
  }

  async copy(text, button, told) {
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      this.say(told);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = words), 1500);
    } catch {
      this.address.value = text; // no clipboard here: the text to copy by hand
      this.address.hidden = false;
      this.address.select();
    }
  }

  showAlarm() {
    const { status, steps, reason, settings } = this.snapshot;
    const here = status === "diverged";
    if (here === !this.alarm.hidden) return;
    this.alarm.hidden = !here;
    this.alarm.replaceChildren();
    if (!here) return;
    const calmer = DEFAULTS.lr,
      words = `Diverged at step ${steps}: ${reason}.`;
    const why =
      settings.lr > calmer ? `The learning rate, ${settings.lr}, is too large.` : "Try a smaller learning rate.";
    const restart = (lr) =>
      element(
        "button",
        {
          type: "button",
          onclick: () => {
            this.set({ lr }, true);
            this.play(true);
          },
        },
        `Restart with ${lr}`,
      );
    const lower = settings.lr > calmer ? calmer : settings.lr / 10;
    this.alarm.append(
      element("p", {}, element("b", {}, words), ` ${why} What you see are the last weights that were numbers.`),
      restart(lower),
    );
  }

  // ---- Drawing ----------------------------------------------------------------------------------------------------

  /** Draw at the next frame; go on while the clouds still move to their places. */
  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.snapshot || !this.box.isConnected) return;
      this.drawSnapshot();
      if (this.moveClouds()) this.draw();
    });
  }

  /** What comes with a snapshot: pictures, curves, words. Once for each. */
  drawSnapshot() {
    const { snapshot } = this,
      style = getComputedStyle(this.box);
    this.ink = style.color;
    const look = `${this.ink} ${this.box.clientWidth} ${devicePixelRatio}`;
    if (this.drawn === snapshot && this.look === look) return;
    this.drawn = snapshot;
    this.look = look;
    const put = (canvas, bytes, top) =>
      canvas.getContext("2d").putImageData(new ImageData(bytes, canvas.width), 0, top);
    put(this.mosaic, snapshot.tiles, 0);
    this.again.getContext("2d").drawImage(this.originals, 0, 0);
    put(this.again, snapshot.again, SIDE);
    put(this.samples, snapshot.samples, 0);
    const rate = snapshot.rate ? ` · ${Math.round(snapshot.rate)} steps a second` : "";
    this.count.textContent = `step ${snapshot.steps.toLocaleString("en-US")}${rate}`;
    Object.assign(this.box.dataset, { steps: snapshot.steps, shown: snapshot.running ? "running" : "resting" });
    this.curves.forEach((curve) => drawCurve(curve, this));
    const now = performance.now();
    if (now - this.said > 900 || !snapshot.running) {
      this.said = now;
      this.readOut.textContent = this.tell;
      this.plane.setAttribute(
        "aria-label",
        `The plane of codes, from −${figure(snapshot.range, 1)} to ${figure(snapshot.range, 1)}. ${this.tell}`,
      );
    }
  }

  /** Draw the clouds, a part of their way further; true while they are not there yet. */
  moveClouds() {
    const { snapshot } = this;
    let far = 0;
    if (this.still.matches || !this.eased || !snapshot.running) this.eased = cloudsOf(snapshot);
    else far = ease(this.eased, snapshot);
    return far * drawClouds(this.plane, this.eased, this) > 0.4;
  }
}
