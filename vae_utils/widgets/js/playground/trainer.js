// Training: steps, what they leave to look at, and when to stop. Runs in a worker, or in slices in the page.

import { Random } from "../random.js";
import { Adam, VAE, weights } from "./vae.js";

export const SIDE = 16; // of a picture, in pixels of three colors
export const TILES = 11; // the plane is decoded at TILES x TILES places
export const SHOWN = 8; // held-out pictures that are drawn again, and samples
export const BATCH = 64;
export const SIGMA = 0.2; // of p(x|z), in units of pixels that reach from 0 to 1
export const NOTED_EVERY = 5; // steps that one point of the curves averages
export const LAST_STEP = 6000; // then it pauses by itself, and so after as many again
const RANGE = 3.3; // the plane reaches from -RANGE to RANGE, or further where codes lie further out

const CUTS = 8; // the plane is cut into CUTS x CUTS tiles where it is shuffled
const ORDER = new Random(1).order(CUTS * CUTS); // the tile i goes to the place ORDER[i]
const BACK = ORDER.map((_, place) => ORDER.indexOf(place));

/** Codes (n, 2) after tiles of the plane, out to RANGE, have changed places; what lies further out stays. */
export function shuffled(codes, order = ORDER) {
  const moved = codes.slice(),
    side = (2 * RANGE) / CUTS;
  for (let i = 0; i < codes.length; i += 2) {
    const [column, row] = [codes[i], codes[i + 1]].map((value) => Math.floor((value + RANGE) / side));
    if (Math.min(column, row) < 0 || Math.max(column, row) >= CUTS) continue;
    const place = order[row * CUTS + column];
    moved[i] += side * ((place % CUTS) - column);
    moved[i + 1] += side * (Math.floor(place / CUTS) - row);
  }
  return moved;
}

/** Where codes of the shuffled plane come from. */
export const unshuffled = (codes) => shuffled(codes, BACK);

/** The Frechet distance of codes from N(0, I): of the Gaussian with their mean and covariance. 0 is a match. */
export function distanceFromPrior(mu, sd, n) {
  let m1 = 0,
    m2 = 0,
    s11 = 0,
    s12 = 0,
    s22 = 0;
  for (let i = 0; i < n; i++) {
    m1 += mu[2 * i] / n;
    m2 += mu[2 * i + 1] / n;
  }
  for (let i = 0; i < n; i++) {
    const a = mu[2 * i] - m1,
      b = mu[2 * i + 1] - m2;
    s11 += (a * a + sd[2 * i] ** 2) / n;
    s12 += (a * b) / n;
    s22 += (b * b + sd[2 * i + 1] ** 2) / n;
  }
  const middle = (s11 + s22) / 2,
    apart = Math.sqrt(((s11 - s22) / 2) ** 2 + s12 ** 2);
  const wide = Math.sqrt(middle + apart),
    narrow = Math.sqrt(Math.max(middle - apart, 0));
  return Math.sqrt(m1 * m1 + m2 * m2 + (wide - 1) ** 2 + (narrow - 1) ** 2);
}

/** Pictures side by side, `columns` in a row, as the bytes of a canvas (red, green, blue, alpha). */
function sheet(means, count, columns) {
  const width = columns * SIDE,
    bytes = new Uint8ClampedArray(Math.ceil(count / columns) * SIDE * width * 4);
  const plane = SIDE * SIDE;
  for (let i = 0; i < count; i++) {
    const left = (i % columns) * SIDE,
      top = Math.floor(i / columns) * SIDE;
    for (let p = 0; p < plane; p++) {
      const at = 4 * ((top + Math.floor(p / SIDE)) * width + left + (p % SIDE));
      for (let c = 0; c < 3; c++) bytes[at + c] = 255 * means[i * 3 * plane + c * plane + p];
      bytes[at + 3] = 255;
    }
  }
  return bytes;
}

/**
 * One run. pictures: {pixels, train, held}: bytes (n, pixels), color by color as PyTorch has them; the number of
 * training pictures is a multiple of the batch, and one batch is held out. settings: as in lessons.js.
 * plan: {at, settings}, what changes by itself at a step; or null.
 */
export class Trainer {
  constructor(pictures, settings, plan = null) {
    this.pixels = pictures.pixels;
    this.train = Float64Array.from(pictures.train, (byte) => byte / 255);
    this.held = Float64Array.from(pictures.held, (byte) => byte / 255);
    this.n = this.train.length / this.pixels;
    if (this.n % BATCH || this.held.length !== BATCH * this.pixels) throw new RangeError("pictures must fill batches");
    this.average = new Float64Array(this.pixels);
    for (let i = 0; i < this.train.length; i++) this.average[i % this.pixels] += this.train[i] / this.n;
    this.restart(settings, plan);
  }

  /** From the start: new weights, an empty history. */
  restart(settings, plan = null) {
    this.settings = { ...settings };
    this.plan = plan;
    this.random = new Random(settings.seed);
    this.model = new VAE(this.pixels, settings.width, SIGMA, BATCH);
    this.model.randomize(this.random);
    this.model.startAtMean(this.average);
    this.adam = new Adam(this.model.theta.length);
    this.seeThrough = this.random.normals(2 * BATCH); // the noise of held-out figures and of samples stays the same
    this.epsilon = new Float64Array(2 * BATCH);
    this.x = new Float64Array(BATCH * this.pixels);
    this.steps = 0;
    this.lastStep = LAST_STEP;
    this.status = "fine"; // or "diverged", with this.reason
    this.reason = "";
    this.noted = []; // [step, nll, kl1, kl2, loss], averages over NOTED_EVERY steps
    this.sums = [0, 0, 0, 0];
    this.safe = this.model.theta.slice();
    this.mu = new Float32Array(2 * this.n);
    this.sd = new Float32Array(2 * this.n);
    this.encodeAll();
    this.firstTerms = this.heldOut();
    this.startingLoss = this.firstTerms.loss;
  }

  /** Settings that need no new start: beta, lr, noise, averaged. */
  change(settings) {
    const before = this.settings;
    this.settings = { ...before, ...settings };
    this.plan = null;
    if (!lossChanged(before, this.settings)) return;
    const factor = weights(this.settings, this.pixels),
      { nll, kl } = this.firstTerms;
    const untrained = factor.nll * nll + factor.kl * (kl[0] + kl[1]);
    this.startingLoss = Math.max(untrained, this.heldOut().loss); // worse than both: it does not learn
  }

  /** One step of Adam on one batch. Returns false where there is nothing to do any more. */
  step() {
    if (this.status !== "fine") return false;
    if (this.plan && this.steps === this.plan.at) this.change(this.plan.settings);
    const { model, x, epsilon, pixels } = this;
    const place = this.steps % (this.n / BATCH);
    if (place === 0) this.order = this.random.order(this.n);
    const batch = this.order.subarray(place * BATCH, (place + 1) * BATCH);
    for (let b = 0; b < BATCH; b++) {
      x.set(this.train.subarray(batch[b] * pixels, (batch[b] + 1) * pixels), b * pixels);
    }
    for (let i = 0; i < epsilon.length; i++) epsilon[i] = this.random.normal();
    const terms = model.lossAndGradient(x, epsilon, this.settings);
    this.keepCodes(batch, model.head);
    this.adam.step(model.theta, model.gradient, this.settings.lr);
    this.steps += 1;
    this.note(terms);
    return this.status === "fine";
  }

  note(terms) {
    const values = [terms.nll, terms.kl[0], terms.kl[1], terms.loss];
    values.forEach((value, i) => (this.sums[i] += value / NOTED_EVERY));
    if (!values.every(Number.isFinite)) return this.diverged("the loss is no longer a finite number");
    if (this.steps % NOTED_EVERY) return;
    if (!this.model.theta.every(Number.isFinite)) return this.diverged("a weight is no longer a finite number");
    this.noted.push([this.steps, ...this.sums]);
    this.sums = [0, 0, 0, 0];
    const lately = this.noted.slice(-20),
      floor = weights(this.settings, this.pixels).nll * this.model.floor;
    if (lately.length === 20 && lately.every((point) => point[4] - floor > 1.5 * (this.startingLoss - floor))) {
      return this.diverged("for 100 steps the loss has been far above where it started");
    }
    this.safe.set(this.model.theta);
  }

  /** Stop, and go back to the last weights that were numbers, so that there is something to look at. */
  diverged(reason) {
    this.status = "diverged";
    this.reason = reason;
    this.model.theta.set(this.safe);
    this.encodeAll();
  }

  /** Steps for so many milliseconds; returns how many were made. */
  advance(milliseconds) {
    const until = clock() + milliseconds,
      before = this.steps;
    while (this.steps < this.lastStep && this.step() && clock() < until);
    return this.steps - before;
  }

  keepCodes(which, head) {
    for (let b = 0; b < which.length; b++) {
      for (let l = 0; l < 2; l++) {
        this.mu[2 * which[b] + l] = head[4 * b + l];
        this.sd[2 * which[b] + l] = Math.exp(0.5 * head[4 * b + 2 + l]);
      }
    }
  }

  /** The codes of all training pictures as they are now (while it trains, each comes from the last epoch). */
  encodeAll() {
    for (let start = 0; start < this.n; start += BATCH) {
      const rows = this.train.subarray(start * this.pixels, (start + BATCH) * this.pixels);
      this.keepCodes(
        Int32Array.from({ length: BATCH }, (_, i) => start + i),
        this.model.encode(rows),
      );
    }
  }

  /** The terms of the loss on the pictures that are held out, under the present settings. */
  heldOut(settings = this.settings) {
    return this.model.loss(this.held, this.seeThrough, settings);
  }

  /** Whether the decoder is fed drawn codes; otherwise a code is mu, a point. */
  get noisy() {
    return this.settings.noise === "on" || this.settings.noise === "cut";
  }

  /** The nll of held-out pictures, each drawn from its cloud on the shuffled plane. Uses codes of `heldOut`. */
  torn(mu, sd) {
    const drawn = shuffled(mu).map((center, i) => center + sd[i] * this.seeThrough[i]);
    this.model.decode(unshuffled(drawn));
    return this.model.nll(this.held);
  }

  decode(codes, columns) {
    const means = [];
    const count = codes.length / 2;
    for (let start = 0; start < count; start += BATCH) {
      const rows = Math.min(BATCH, count - start),
        even = rows + (rows % 2);
      const z = new Float64Array(2 * even);
      z.set(codes.subarray(2 * start, 2 * (start + rows)));
      means.push(this.model.decode(z, even).slice(0, rows * this.pixels));
    }
    const all = new Float64Array(count * this.pixels);
    means.forEach((part, i) => all.set(part, i * BATCH * this.pixels));
    return sheet(all, count, columns);
  }

  /** How far the plane must reach: in steps, so that it does not breathe all the time. */
  range() {
    const reach = Array.from(this.mu, Math.abs).sort((a, b) => a - b)[Math.floor(0.985 * this.mu.length)];
    let range = RANGE;
    while (range < 1.05 * reach && range < 1e6) range *= 1.3;
    return range;
  }

  /** All that the view draws. complete: encode every picture anew (slower: for a run that stands still). */
  snapshot(complete, since = 0) {
    if (complete) this.encodeAll();
    const { model, noisy, n } = this;
    const floor = model.floor,
      terms = this.heldOut();
    const withNoise = this.settings.noise === "off" ? this.heldOut({ ...this.settings, noise: "on" }) : terms;
    const heldMu = new Float64Array(2 * BATCH), // of the last look at held-out pictures
      heldSd = new Float64Array(2 * BATCH);
    for (let b = 0; b < BATCH; b++) {
      for (let l = 0; l < 2; l++) {
        heldMu[2 * b + l] = model.head[4 * b + l];
        heldSd[2 * b + l] = Math.exp(0.5 * model.head[4 * b + 2 + l]);
      }
    }
    const torn = this.torn(heldMu, heldSd);
    const plane = this.settings.plane === "shuffled" ? shuffled : (codes) => codes.slice();
    const from = this.settings.plane === "shuffled" ? unshuffled : (codes) => codes;
    const mu = plane(this.mu);
    const range = this.range(),
      places = new Float64Array(2 * TILES * TILES);
    for (let i = 0; i < TILES * TILES; i++) {
      places[2 * i] = range * ((2 * (i % TILES) + 1) / TILES - 1);
      places[2 * i + 1] = range * (1 - (2 * Math.floor(i / TILES) + 1) / TILES);
    }
    return {
      steps: this.steps,
      epochs: Math.floor((this.steps * BATCH) / n),
      status: this.status,
      reason: this.reason,
      finished: this.steps >= this.lastStep,
      settings: { ...this.settings },
      mu,
      sd: this.sd.slice(),
      heldMu: plane(heldMu),
      heldSd,
      range,
      tiles: this.decode(from(places), TILES),
      again: this.decode(heldMu.subarray(0, 2 * SHOWN), SHOWN),
      samples: this.decode(from(this.seeThrough.subarray(0, 2 * SHOWN)), SHOWN),
      figures: {
        nll: terms.nll - floor,
        kl: terms.kl,
        loss: terms.loss,
        withNoise: withNoise.nll - floor,
        torn: torn - floor,
        distance: distanceFromPrior(mu, noisy ? this.sd : new Float32Array(2 * n), n),
      },
      floor,
      noted: this.noted.slice(since),
    };
  }
}

/** Whether two settings ask for different losses. */
export const lossChanged = (a, b) => a.beta !== b.beta || a.noise !== b.noise || a.averaged !== b.averaged;
export const clock = () => performance.now();
