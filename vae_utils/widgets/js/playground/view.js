// The page's side of the playground: controls, the plane with its clouds, pictures, curves, and a text of what happens.
// Uses live.js (element, announcer, number); the numbers come from worker.js as snapshots.

var VAEPlayground = VAEPlayground || {};

/**
 * As all live figures: build(root, data, state). Where JupyterLab draws an output anew, the run goes on as it was; a
 * second copy of an output beside the first gets a run of its own. Old runs that are nowhere to be seen are given up.
 */
function buildPlayground(root, data, state) {
  const { kept } = state, all = (window.vaePlaygrounds = window.vaePlaygrounds || []);
  if (!kept || kept.box.isConnected) {
    state.kept = new VAEPlayground.View(data, announcer);
    all.push(state.kept);
    const gone = all.filter(({ box }) => !box.isConnected && box !== state.kept.box);
    gone.slice(0, -2).forEach((view) => view.close());
  }
  root.append(element("style", {}, data.style), state.kept.box);
  state.kept.arrive();
}

VAEPlayground.defineView = function (P) {
  "use strict";

  const CURVES = [
    { key: "nll", title: "What comes back wrong", unit: "nll above its floor, in nats" },
    { key: "kl", title: "KL", unit: "of each number, in nats" },
    { key: "distance", title: "Distance from N(0, I)", unit: "of all codes together (Fréchet)" },
  ];
  const SILENT = 0.1; // nats: a number of the code that carries less says nothing
  const TOLD_AT = [100, 300, 1000, 3000]; // steps at which a screen reader is told how it goes
  const KL_COLORS = [2, 5]; // of data.colors: the two numbers of the code

  /** A figure for people: never NaN, never "Infinity". */
  function figure(value, digits) {
    if (!Number.isFinite(value) || Math.abs(value) >= 1e7) return "more than can be shown";
    const shown = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? Math.min(digits, 1) : digits;
    return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US").replace("-", "−") : number(value, shown);
  }

  /** Where a curve's axis of steps begins and ends, in CSS pixels from the left. */
  P.AXIS = (width) => [30, width - 6];

  const plain = (value) => String(value).replace("-", "−");

  class View {
    constructor(data, announcer) {
      this.data = data;
      this.still = matchMedia("(prefers-reduced-motion: reduce)");
      const given = P.lessonCalled(data.lesson), begin = P.complete({ ...data.settings, ...given?.settings });
      const asked = (data.address && P.fromHash(location.hash)) || { settings: begin, lesson: given || P.lessonOf(begin) };
      Object.assign(this, asked);
      Object.assign(this, { wants: null, running: false, inView: false, snapshot: null, eased: null, told: -1, said: 0 });
      this.forget();
      this.make();
      this.say = announcer(this.box);
      this.showSettings();
      this.watch();
      this.open();
    }

    /** An empty history. */
    forget() {
      Object.assign(this, { noted: [], distances: [], marks: [] });
      this.told = 0;
    }

    // ---- Elements ---------------------------------------------------------------------------------------------------

    make() {
      const button = (words, does, more = {}) => element("button", { type: "button", onclick: does, ...more }, words);
      this.lessons = P.LESSONS.map((lesson) => button(lesson.name, () => this.teach(lesson), { "data-lesson": lesson.id }));
      this.says = element("p", { class: "says" });
      this.playButton = button("Pause", () => this.play(!this.wants), { class: "play" });
      this.stepButton = button("One step", () => this.oneStep());
      this.seed = element("input", { type: "number", min: 0, max: 999999, step: 1, inputmode: "numeric", "aria-label": "Seed" });
      this.seed.addEventListener("change", () => this.set({ seed: this.seed.value }, true));
      this.count = element("span", { class: "count" });
      this.link = button("Copy link", () => this.copyLink());
      this.link.hidden = !(this.data.address || this.data.site);
      this.address = element("input", { type: "text", readonly: true, hidden: true, class: "address", "aria-label": "What to copy" });

      this.mosaic = element("canvas", { class: "mosaic", width: P.TILES * P.SIDE, height: P.TILES * P.SIDE, "aria-hidden": "true" });
      this.plane = element("canvas", { class: "clouds", role: "img", "aria-label": "The plane of codes" });
      this.alarm = element("div", { class: "alarm", role: "alert", hidden: true });
      this.again = this.pictureRow(2, "Pictures held out of training, and below them what comes back");
      this.samples = this.pictureRow(1, "Pictures decoded from codes drawn from the prior");
      this.originals = document.createElement("canvas");
      this.curves = CURVES.map((curve) => {
        const canvas = element("canvas", { role: "img", "aria-label": curve.title });
        const value = element("span", { class: "pg-value" });
        return { ...curve, canvas, value };
      });
      this.readOut = element("p", { class: "told" });
      this.trains = element("p", { class: "trains" });
      this.pointed = element("p", { class: "pointed", "aria-hidden": "true" }); // a screen reader hears the same in `told`
      this.copyNumbers = button("Copy numbers", () => this.copy(this.table(), this.copyNumbers, "The numbers are copied."));

      const { names, colors } = this.data;
      const mark = (label) => element("span", { class: label ? "pg-mark square" : "pg-mark", style: `background: ${colors[label]}`, "aria-hidden": "true" });
      const key = (label) => element("span", {}, mark(label), ` ${names[label]}`);
      const ring = element("span", { class: "pg-mark ring", "aria-hidden": "true" });
      this.box = element("div", { class: "playground", role: "group", "aria-label": "A small VAE that trains in this page" },
        element("div", { class: "controls lessons", role: "group", "aria-label": "Lessons" }, ...this.lessons),
        this.says,
        element("div", { class: "controls transport" },
          this.playButton, this.stepButton, button("Restart", () => this.restart()),
          element("label", {}, "seed ", this.seed), this.link, this.copyNumbers, this.address, this.count),
        element("div", { class: "desk-of-two" },
          element("figure", { class: "plane-figure" },
            element("div", { class: "frame" }, this.mosaic, this.plane, this.alarm),
            element("figcaption", {}, key(0), key(1), element("span", {}, ring, " prior: 1, 2, 3 sd"))),
          element("div", { class: "beside" },
            element("p", { class: "pg-title" }, "Held-out pictures, and what comes back"),
            this.again,
            element("p", { class: "pg-title" }, "Decoded from codes drawn from N(0, I)"),
            this.samples,
            this.makeControls())),
        element("div", { class: "curves" },
          ...this.curves.map(({ title, unit, canvas, value }) =>
            element("figure", {}, element("figcaption", {}, element("b", {}, title), value, element("span", { class: "unit" }, unit)), canvas))),
        this.pointed, this.trains, this.readOut);
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
      over(this.plane, (right, down) => this.placeInWords(right, down));
      this.curves.forEach(({ canvas }) => over(canvas, (right, _, { width }) => this.stepInWords(right * width, width)));
    }

    placeInWords(right, down) {
      const { mu, sd, range, settings } = this.snapshot, z = [range * (2 * right - 1), range * (1 - 2 * down)];
      const cloudy = settings.noise === "on" || settings.noise === "cut";
      const apart = (i) => [0, 1].map((l) => (z[l] - mu[2 * i + l]) / (cloudy ? sd[2 * i + l] : 1));
      let nearest = 0, least = Infinity;
      for (let i = 0; i < this.data.trained; i++) {
        const far = Math.hypot(...apart(i));
        if (far < least) [nearest, least] = [i, far];
      }
      const whose = a(this.data.names[this.data.labels[nearest]]), place = z.map((value) => figure(value, 2)).join(", ");
      return `z = (${place}): the nearest ${cloudy ? "cloud" : "code"} is ${whose}'s, ${figure(least, 1)}${cloudy ? " of its widths" : ""} away.`;
    }

    stepInWords(left, width) {
      const { steps, floor } = this.snapshot, [from, to] = P.AXIS(width);
      const step = (Math.max(steps, 100) * (left - from)) / (to - from);
      const point = this.noted.findLast(([at]) => at <= step);
      if (!point || left > to) return "";
      const [at, nll, ...kl] = point;
      return `Step ${at.toLocaleString("en-US")}: nll ${figure(nll - floor, 1)} above its floor, KL ${figure(kl[0], 2)} and ${figure(kl[1], 2)}, in all ${figure(nll - floor + kl[0] + kl[1], 1)} nats.`;
    }

    /** The history as a table that spreadsheets read: on training pictures, averages over a few steps. */
    table() {
      const floor = this.snapshot?.floor;
      const rows = this.noted.map(([step, nll, kl1, kl2]) => [step, nll - floor, kl1, kl2, nll - floor + kl1 + kl2]);
      return ["step,nll above its floor,KL 1,KL 2,-ELBO above the floor", ...rows.map((row) => row.join(","))].join("\n");
    }

    pictureRow(rows, label) {
      return element("canvas", { class: "pg-row", width: P.SHOWN * P.SIDE, height: rows * P.SIDE, role: "img", "aria-label": label });
    }

    makeControls() {
      const nearest = (list, value) => {
        const off = list.map((entry) => Math.abs(Math.log((entry + 1e-4) / (value + 1e-4))));
        return off.indexOf(Math.min(...off));
      };
      const sliding = (name, words, list) => {
        const input = element("input", { type: "range", min: 0, max: list.length - 1, step: 1, "aria-label": words });
        const value = element("span", { class: "pg-value", "aria-hidden": "true" });
        input.addEventListener("input", () => this.set({ [name]: list[Number(input.value)] }));
        const show = () => {
          input.value = nearest(list, this.settings[name]);
          value.textContent = plain(this.settings[name]);
          input.setAttribute("aria-valuetext", plain(this.settings[name]));
        };
        return { show, box: element("label", { class: "control" }, element("span", {}, words), input, value) };
      };
      const choosing = (name, words, choices, restarts = false) => {
        const select = element("select", { "aria-label": words }, ...Object.entries(choices).map(([value, text]) => element("option", { value }, text)));
        select.addEventListener("change", () => this.set({ [name]: select.value }, restarts));
        const show = () => (select.value = String(this.settings[name]));
        return { show, box: element("label", { class: "control" }, element("span", {}, words), select) };
      };
      const widths = Object.fromEntries(P.WIDTHS.map((width) => [width, `${width} units`]));
      this.controls = [
        sliding("beta", "β (KL weight)", P.BETAS),
        sliding("lr", "learning rate", P.RATES),
        choosing("noise", "noise", P.NOISE_NAMES),
        choosing("averaged", "sum or mean", P.AVERAGED_NAMES),
        choosing("width", "width", widths, true),
      ];
      return element("div", { class: "settings", role: "group", "aria-label": "Settings" }, ...this.controls.map(({ box }) => box));
    }

    // ---- The run ----------------------------------------------------------------------------------------------------

    /** Read the pictures and start a trainer. */
    open() {
      const image = new Image();
      image.onload = () => {
        const { width, height } = image;
        const canvas = element("canvas", { width, height }), pen = canvas.getContext("2d", { willReadFrequently: true });
        pen.drawImage(image, 0, 0);
        const bytes = pen.getImageData(0, 0, width, height).data, columns = width / P.SIDE, plane = P.SIDE * P.SIDE;
        const all = new Uint8Array(3 * plane * columns * (height / P.SIDE));
        for (let i = 0; i < all.length; i++) {
          const picture = Math.floor(i / (3 * plane)), color = Math.floor((i % (3 * plane)) / plane), p = i % plane;
          const x = (picture % columns) * P.SIDE + (p % P.SIDE), y = Math.floor(picture / columns) * P.SIDE + Math.floor(p / P.SIDE);
          all[i] = bytes[4 * (y * width + x) + color];
        }
        const split = this.data.trained * 3 * plane;
        this.pictures = { pixels: 3 * plane, train: all.slice(0, split), held: all.slice(split) };
        Object.assign(this.originals, { width: P.SHOWN * P.SIDE, height: P.SIDE });
        this.originals.getContext("2d").drawImage(canvas, ...this.cutOut(this.data.trained, columns), 0, 0, P.SHOWN * P.SIDE, P.SIDE);
        this.connection = P.connect((snapshot) => this.receive(snapshot), this.data.inPage);
        this.connection.post({ type: "start", pictures: this.pictures, settings: this.settings, plan: this.newPlan() });
        this.obey();
      };
      image.onerror = () => this.box.replaceChildren(trouble("This page cannot read the playground's pictures (WebP)."));
      image.src = this.data.sheet;
    }

    /** Where the first pictures from number i on stand in the sheet: left, top, width, height. */
    cutOut(i, columns) {
      return [(i % columns) * P.SIDE, Math.floor(i / columns) * P.SIDE, P.SHOWN * P.SIDE, P.SIDE];
    }

    /** What the lesson will change by itself, until the reader changes something. */
    newPlan() {
      this.plan = this.lesson?.then || null;
      return this.plan;
    }

    /** New settings: at once where the network stays as it is, from the start where it does not. */
    set(some, restarts = false) {
      const before = this.settings;
      this.settings = P.complete({ ...before, ...some });
      this.lesson = restarts && "seed" in some ? this.lesson : P.lessonOf(this.settings);
      this.plan = null;
      if (!restarts && this.snapshot) this.marks.push(this.snapshot.steps);
      this.showSettings();
      if (!this.connection) return;
      if (restarts || this.snapshot?.status === "diverged") this.restart();
      else this.connection.post({ type: "change", settings: this.settings });
    }

    teach(lesson) {
      this.lesson = lesson;
      this.settings = P.complete({ ...lesson.settings, seed: this.settings.seed });
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
      if (this.lesson?.then) this.settings = P.complete({ ...this.lesson.settings, seed: this.settings.seed });
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
      if (this.snapshot) this.say(wanted ? "Training." : `Paused. ${this.tell()}`);
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
      this.observer = new IntersectionObserver((entries) => {
        const { isIntersecting, intersectionRatio } = entries[entries.length - 1];
        this.inView = isIntersecting;
        if (this.wants === null && intersectionRatio >= 0.2) this.wants = !this.still.matches;
        this.obey();
      }, { threshold: [0, 0.2] });
      this.observer.observe(this.box);
      new ResizeObserver(() => this.draw()).observe(this.box);
      document.addEventListener("visibilitychange", () => this.obey());
      if (this.data.address) {
        addEventListener("hashchange", () => {
          const found = P.fromHash(location.hash);
          if (!found || P.toHash(found.settings, found.lesson) === P.toHash(this.settings, this.lesson)) return;
          Object.assign(this, found);
          this.restart();
        });
      }
      for (const what of [matchMedia("(prefers-color-scheme: dark)"), this.still]) what.addEventListener("change", () => this.draw());
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
      Object.assign(this, { connection: null, snapshot: null, running: false, awaiting: false, closed: true });
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
        this.settings = P.complete({ ...this.settings, ...this.plan.settings });
        this.plan = null;
        this.showSettings();
      }
      this.noted.push(...snapshot.noted);
      const { distance } = snapshot.figures;
      if (Number.isFinite(distance) && this.distances.at(-1)?.[0] !== snapshot.steps) this.distances.push([snapshot.steps, distance]);
      if (this.running && !snapshot.running) {
        if (snapshot.status === "diverged" || snapshot.finished) {
          this.running = this.wants = false;
          if (snapshot.finished) this.say(`It pauses by itself after ${snapshot.steps} steps. ${this.tell()}`);
          this.obey();
        }
      }
      this.showAlarm();
      const milestone = TOLD_AT.filter((step) => step <= snapshot.steps).length;
      if (milestone > this.told || this.tellNext) this.say(this.tell());
      this.told = milestone;
      this.tellNext = false;
      this.draw();
      const drawn = () => this.connection?.post({ type: "drawn" });
      if (this.still.matches && snapshot.running) setTimeout(drawn, 1000);
      else requestAnimationFrame(drawn);
    }

    // ---- Words ------------------------------------------------------------------------------------------------------

    /** What is to be seen, in sentences. */
    tell() {
      const { steps, epochs, figures, settings } = this.snapshot, { nll, kl, distance, withNoise } = figures;
      const rounds = epochs === 0 ? "" : `, ${epochs === 1 ? "once" : `${epochs} times`} through the ${this.data.trained} pictures`;
      const words = [`Step ${steps.toLocaleString("en-US")}${rounds}.`];
      words.push(`Pictures that it was not trained on come back with an nll of ${figure(nll, 1)} nats above its floor.`);
      if (settings.noise === "none") words.push("There is no KL in the loss, so each picture is a point.");
      else {
        const silent = kl.map((value) => value < SILENT);
        words.push(`The two numbers of the code cost ${figure(kl[0], 2)} and ${figure(kl[1], 2)} nats of KL.`);
        if (silent[0] && silent[1]) words.push("Both are silent: every picture gets the same cloud, and comes back as the same picture.");
        else if (silent[0] || silent[1]) words.push(`The ${silent[0] ? "first" : "second"} is silent: it says next to nothing about the picture.`);
      }
      if (settings.noise === "off") words.push(`With the noise put back, the nll would be ${figure(withNoise, 1)} above its floor.`);
      const all = nll + kl[0] + kl[1];
      if (settings.noise !== "none") words.push(`Together, nll and KL are ${figure(all, 1)} nats above the floor.`);
      words.push(`All codes together lie ${figure(distance, 2)} from the prior.`);
      return words.join(" ");
    }

    showSettings() {
      const { lesson } = this;
      this.lessons.forEach((button) => button.setAttribute("aria-pressed", String(lesson?.id === button.dataset.lesson)));
      this.says.textContent = lesson ? lesson.says : "Your own settings. Change one thing at a time, and say first what you expect.";
      this.controls.forEach(({ show }) => show());
      this.trains.textContent = P.trained(this.settings, 3 * P.SIDE * P.SIDE);
      this.seed.value = this.settings.seed;
      this.address.hidden = true;
      if (!this.data.address) return;
      const hash = P.toHash(this.settings, lesson), known = P.fromHash(location.hash);
      if (hash || known) history.replaceState(history.state, "", hash ? `#${hash}` : location.pathname + location.search);
    }

    async copyLink() {
      const here = this.data.address ? location.href.split("#")[0] : this.data.site;
      const hash = P.toHash(this.settings, this.lesson);
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
      const calmer = P.DEFAULTS.lr, words = `Diverged at step ${steps}: ${reason}.`;
      const why = settings.lr > calmer ? `The learning rate, ${settings.lr}, is too large.` : "Try a smaller learning rate.";
      const restart = (lr) => element("button", { type: "button", onclick: () => { this.set({ lr }, true); this.play(true); } }, `Restart with ${lr}`);
      const lower = settings.lr > calmer ? calmer : settings.lr / 10;
      this.alarm.append(element("p", {}, element("b", {}, words), ` ${why} What you see are the last weights that were numbers.`), restart(lower));
    }

    // ---- Drawing ----------------------------------------------------------------------------------------------------

    /** Draw at the next frame; go on while the clouds still move to their places. */
    draw() {
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        if (!this.snapshot || !this.box.isConnected) return;
        this.drawSnapshot();
        if (this.drawClouds()) this.draw();
      });
    }

    /** What comes with a snapshot: pictures, curves, words. Once for each. */
    drawSnapshot() {
      const { snapshot } = this, style = getComputedStyle(this.box);
      this.ink = style.color;
      const look = `${this.ink} ${this.box.clientWidth} ${devicePixelRatio}`;
      if (this.drawn === snapshot && this.look === look) return;
      Object.assign(this, { drawn: snapshot, look });
      const put = (canvas, bytes, top) => canvas.getContext("2d").putImageData(new ImageData(bytes, canvas.width), 0, top);
      put(this.mosaic, snapshot.tiles, 0);
      this.again.getContext("2d").drawImage(this.originals, 0, 0);
      put(this.again, snapshot.again, P.SIDE);
      put(this.samples, snapshot.samples, 0);
      const rate = snapshot.rate ? ` · ${Math.round(snapshot.rate)} steps a second` : "";
      this.count.textContent = `step ${snapshot.steps.toLocaleString("en-US")}${rate}`;
      Object.assign(this.box.dataset, { steps: snapshot.steps, shown: snapshot.running ? "running" : "resting" });
      this.curves.forEach((curve) => this.drawCurve(curve));
      const now = performance.now();
      if (now - this.said > 900 || !snapshot.running) {
        this.said = now;
        this.readOut.textContent = this.tell();
        this.plane.setAttribute("aria-label", `The plane of codes, from −${figure(snapshot.range, 1)} to ${figure(snapshot.range, 1)}. ${this.tell()}`);
      }
    }

    /** A canvas's pen, in units of CSS pixels, on a clean canvas as sharp as the screen. */
    pen(canvas) {
      const { clientWidth: width, clientHeight: height } = canvas, scale = Math.min(devicePixelRatio || 1, 2);
      if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
        Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, height);
      return { pen, width, height };
    }

    /** The clouds on the plane; true while they are on their way. */
    drawClouds() {
      const { snapshot, data } = this, { pen, width } = this.pen(this.plane);
      const target = [snapshot.mu, snapshot.sd, snapshot.heldMu, snapshot.heldSd];
      const jump = this.still.matches || !this.eased || !snapshot.running;
      let far = 0;
      if (jump) this.eased = target.map((part) => Float64Array.from(part));
      else {
        this.eased.forEach((part, k) => {
          for (let i = 0; i < part.length; i++) {
            const way = target[k][i] - part[i];
            part[i] = Number.isFinite(part[i] + way) ? part[i] + 0.22 * way : target[k][i];
            if (Math.abs(way) > far) far = Math.abs(way);
          }
        });
      }
      const [mu, sd, heldMu, heldSd] = this.eased, { range } = snapshot;
      const unit = width / (2 * range), x = (z) => width / 2 + z * unit, y = (z) => width / 2 - z * unit;
      const clouds = snapshot.settings.noise === "on" || snapshot.settings.noise === "cut";
      const size = (value) => Math.min(Math.max(value * unit, 0), 4 * width) || 0;

      pen.strokeStyle = this.ink;
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
          const left = x(mu[2 * i]), top = y(mu[2 * i + 1]);
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
        this.drawFollowed(pen, label, center, [size(heldSd[2 * label]), size(heldSd[2 * label + 1])], clouds, width);
      }
      return far * unit > 0.4;
    }

    /** The cat or the dog that the course follows: its cloud to 2 sd, its name. */
    drawFollowed(pen, label, [left, top], [a, b], cloud, width) {
      const color = this.data.colors[label], name = this.data.names[label];
      for (const [ink, thick] of [["#fff", 4.5], [color, 2.5]]) {
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
      const right = Math.min(Math.max(beside, 4), width - wide - 4), above = Math.min(Math.max(top - 8, 14), width - 6);
      pen.lineJoin = "round";
      pen.strokeStyle = "#fff";
      pen.lineWidth = 4;
      pen.strokeText(name, right, above);
      pen.fillStyle = "#222";
      pen.fillText(name, right, above);
    }

    /** One of the three curves, from step 0 on, and its present value in words. */
    drawCurve(curve) {
      const { snapshot, data } = this, { pen, width, height } = this.pen(curve.canvas);
      const silentKl = curve.key === "kl" && snapshot.settings.noise === "none";
      const lines = {
        nll: () => [this.noted.map(([step, nll]) => [step, nll - snapshot.floor])],
        kl: () => [2, 3].map((place) => this.noted.map((point) => [point[0], point[place]])),
        distance: () => [this.distances],
      }[curve.key]();
      const { nll, kl, distance } = snapshot.figures;
      const values = { nll: [figure(nll, 1)], kl: kl.map((value) => figure(value, 2)), distance: [figure(distance, 2)] }[curve.key];
      const colors = { nll: [this.ink], kl: KL_COLORS.map((i) => data.colors[i]), distance: [this.ink] }[curve.key];
      const sign = (i) => element("span", { class: i ? "pg-line dashed" : "pg-line", style: `border-color: ${colors[i]}`, "aria-hidden": "true" });
      curve.value.replaceChildren(...(silentKl ? ["not in the loss"] : values.flatMap((value, i) => (curve.key === "kl" ? [sign(i), ` ${value} `] : [value]))));
      curve.canvas.setAttribute("aria-label", `${curve.title}, ${curve.unit}: now ${silentKl ? "not in the loss" : values.join(" and ")}`);

      const bottom = height - 15, [left, right] = P.AXIS(width);
      const last = Math.max(snapshot.steps, 100);
      // the first steps of a curve may be far above all others: show the rest well
      const heights = lines.flat().map(([, value]) => value).filter(Number.isFinite).sort((a, b) => a - b);
      const most = Math.max(heights[Math.floor(0.97 * (heights.length - 1))] * 1.15 || 0, { nll: 50, kl: 1, distance: 1 }[curve.key]);
      const x = (step) => left + ((right - left) * step) / last, y = (value) => bottom - (bottom - 6) * Math.min(value / most, 1);
      pen.font = "11px system-ui, sans-serif";
      pen.fillStyle = pen.strokeStyle = this.ink;
      pen.lineWidth = 1;
      pen.globalAlpha = 0.35;
      pen.beginPath();
      pen.moveTo(left, 4);
      pen.lineTo(left, bottom);
      pen.lineTo(right, bottom);
      this.marks.forEach((step) => { // where a setting was changed
        pen.moveTo(x(step), 4);
        pen.lineTo(x(step), bottom);
      });
      pen.stroke();
      pen.globalAlpha = 1;
      pen.textAlign = "right";
      pen.fillText("0", left - 4, bottom + 2);
      const tick = [1, 2, 5].map((m) => m * 10 ** Math.floor(Math.log10(most / m))).sort((a, b) => b - a)[0];
      pen.fillText(tick >= 1e4 ? tick.toExponential(0).replace("+", "") : plain(Number(tick.toPrecision(1))), left - 4, y(tick) + 4);
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
  }

  P.View = View;
};

VAEPlayground.defineView(VAEPlayground);
