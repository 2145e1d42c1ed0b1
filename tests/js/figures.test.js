// The numbers of live figures that no model decides, against formulas and against each other; run by `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULTS, LESSONS, trained } from "../../vae_utils/widgets/js/playground/lessons.js";
import { stepAt } from "../../vae_utils/widgets/js/playground/plots.js";
import { shuffled, Trainer, unshuffled } from "../../vae_utils/widgets/js/playground/trainer.js";
import { stepInWords, table, tell } from "../../vae_utils/widgets/js/playground/words.js";
import { Random } from "../../vae_utils/widgets/js/random.js";
import { slopes, variances } from "../../vae_utils/widgets/js/trick.js";
import { areas, closedForms, integrand } from "../../vae_utils/widgets/js/two_gaussians.js";

const near = (value, wanted, tolerance) => assert.ok(Math.abs(value - wanted) <= tolerance, `${value}, not ${wanted}`);

test("the area between two Gaussians' curve and the axis is the closed form, both ways", () => {
  for (const mu of [-2, 0, 0.35, 2]) {
    for (const sigma of [0.3, 1, 2.5]) {
      [false, true].forEach((reverse, i) => {
        const [above, below] = areas(mu, sigma, reverse);
        near(above - below, closedForms(mu, sigma)[i], 1e-6);
        assert.ok(above >= 0 && below >= 0);
      });
    }
  }
});

test("the highest curve fits the tallest axis", () => {
  for (const mu of [-2, 2]) {
    for (let z = -6; z < 6; z += 0.01) assert.ok(integrand(z, mu, 0.3, true) < 14);
  }
});

test("both estimators of the slope have its mean and the variances that the formulas say", () => {
  const noise = new Random(1).normals(100_000);
  for (const [mu, sigma] of [
    [1, 1],
    [-1, 0.1],
    [6, 2],
  ]) {
    [0, 1].forEach((kind) => {
      const found = Array.from(noise, (epsilon) => slopes(mu, sigma, 5, epsilon)[kind]);
      const mean = found.reduce((sum, value) => sum + value) / found.length;
      const variance = found.reduce((sum, value) => sum + (value - mean) ** 2, 0) / found.length;
      const exact = variances(mu, sigma, 5)[kind];
      near(mean, 2 * (mu - 5), 5 * Math.sqrt(exact / found.length));
      near(variance, exact, 0.05 * exact);
    });
  }
});

test("a seed decides the noise, which is normal", () => {
  const draws = (seed) => Array.from(new Random(seed).normals(3));
  assert.deepEqual(draws(3), draws(3));
  assert.notDeepEqual(draws(3), draws(4));
});

test("the playground's words hold its numbers", () => {
  const noted = [5, 10].map((step) => [step, 100 + step, 0.5, 1.5, 0]);
  assert.equal(stepInWords(7, noted, 90), "Step 5: nll 15.0 above its floor, KL 0.50 and 1.50, in all 17.0 nats.");
  assert.equal(stepInWords(4, noted, 90), "");
  assert.equal(stepAt(200, 30, 236), 0);
  assert.equal(stepAt(200, 231, 236), null);
  assert.equal(table(noted, 90).split("\n")[1], "5,15,0.5,1.5,17");
  const figures = { nll: 3, kl: [2, 0.01], distance: 0.4, withNoise: 3, torn: 9 };
  const words = tell({ steps: 1000, epochs: 2, figures, settings: DEFAULTS }, 640);
  assert.match(words, /Step 1,000, 2 times through the 640 pictures\./);
  assert.match(words, /The second is silent/);
});

test("shuffled and put back, codes are where they were, and none has left the plane", () => {
  const codes = new Random(2).normals(1000);
  const moved = shuffled(codes);
  unshuffled(moved).forEach((value, i) => near(value, codes[i], 1e-12));
  assert.ok(moved.filter((value, i) => value !== codes[i]).length > 800);
  moved.forEach((value, i) => assert.equal(Math.abs(value) < 3.3, Math.abs(codes[i]) < 3.3));
});

test("a shuffled plane changes no picture of an autoencoder and tears a VAE's clouds", () => {
  const grey = (n) => Uint8Array.from({ length: 48 * n }, (_, i) => ((i * 37) % 200) + 20 * ((i / 48) % 2));
  for (const noise of ["none", "on"]) {
    const trainer = new Trainer({ pixels: 48, train: grey(128), held: grey(64) }, { ...DEFAULTS, width: 8, noise });
    for (let step = 0; step < 100; step++) trainer.step();
    const whole = trainer.snapshot(true);
    trainer.change({ plane: "shuffled" });
    const cut = trainer.snapshot(true);
    assert.equal(cut.figures.nll, whole.figures.nll);
    assert.deepEqual(cut.again, whole.again);
    assert.notDeepEqual(cut.mu, whole.mu);
    if (noise === "on") assert.ok(cut.figures.torn > cut.figures.nll);
  }
});

test("each lesson says what it trains", () => {
  for (const lesson of LESSONS) assert.match(trained({ ...DEFAULTS, ...lesson.settings }, 768), /^You train /);
});
