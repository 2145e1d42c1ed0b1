// What can be set, how it is written into an address, and the prepared lessons.

import { AVERAGED, NOISES, weights } from "./vae.js";

export const DEFAULTS = { beta: 1, lr: 0.005, width: 32, noise: "on", averaged: "none", plane: "whole", seed: 0 };
export const WIDTHS = [8, 16, 32, 64];
export const RANGES = { beta: [0, 1000], lr: [1e-5, 10], seed: [0, 999999] };

// What a slider offers: beta from 0 to 1000, and learning rates from 0.0001 to 1, in steps that grow.
export const BETAS = [0, 0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 300, 1000];
export const RATES = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

export const NOISE_NAMES = {
  on: "on: z = μ + σε",
  cut: "on, but the gradient cut",
  off: "off: z = μ",
  none: "off, and no KL: an autoencoder",
};
export const PLANE_NAMES = { whole: "as it is", shuffled: "cut into tiles and shuffled" };
export const AVERAGED_NAMES = {
  none: "neither: two sums",
  pixels: "nll averaged over pixels",
  code: "KL averaged over the code",
  both: "both averaged",
};

// Each lesson says what to watch; scripts/bench_playground.py measures whether it comes so in five seeds.
export const LESSONS = [
  {
    id: "vae",
    name: "A VAE learns",
    settings: {},
    says: "Every picture is a small cloud. The clouds spread until together they fill most of the prior's circles, so a code drawn from N(0, I) decodes to an animal.",
  },
  {
    id: "autoencoder",
    name: "An autoencoder",
    settings: { noise: "none" },
    says: "No noise and no KL. The pictures come back about as well, and nothing tells the codes where to live: they drift away from the circles. Compare the distance with the VAE's.",
  },
  {
    id: "dimension",
    name: "A dimension dies",
    settings: {},
    later: { at: 300, settings: { beta: 60 } },
    says: "β is 1 for 300 steps, and both numbers of the code are in use. Then β becomes 60. One number no longer pays for its nats: its KL falls to 0, and in its direction every cloud grows to the prior's width. The other carries on, with fewer nats.",
  },
  {
    id: "holes",
    name: "Holes",
    settings: { beta: 0.03 },
    says: "β is 0.03: precision costs next to nothing, so the clouds shrink to specks. The pictures come back hardly better, and between the clouds are holes: after 600 steps about nine of ten codes drawn from N(0, I) lie more than three widths from every cloud; with β = 1 it is four or five. Point at the plane to see how far the nearest is.",
  },
  {
    id: "shuffled",
    name: "A shuffled plane",
    settings: { noise: "none" },
    later: { at: 400, settings: { plane: "shuffled" } },
    says: "After 400 steps the autoencoder's plane is cut into 64 tiles, which change places; encoder and decoder are told. Every picture comes back as before, at the same loss: nothing in it asked for neighbors. Now put the noise back on and restart. For a VAE the same shuffle tears clouds apart, and its nll jumps.",
  },
  {
    id: "mean",
    name: "A mean for a sum",
    settings: { averaged: "pixels" },
    says: "The nll is averaged over pixels, the KL is summed: a β of 768 that nobody chose. Both numbers die, and every picture comes back as the same one.",
  },
  {
    id: "cut",
    name: "A cut gradient",
    settings: { noise: "cut" },
    says: "The codes are drawn, but no gradient passes through the draw. The encoder hears only the KL and learns only the prior; there is no error message.",
  },
];

/**
 * @typedef {{beta: number, lr: number, width: number, noise: string, averaged: string, plane: string, seed: number}} Settings
 */

/**
 * What these settings train, in one sentence: which terms, and what the KL weighs in truth.
 * @param {Settings} settings
 * @param {number} pixels
 */
export function trained(settings, pixels) {
  const factor = weights(settings, pixels),
    short = (value) => String(Number(value.toPrecision(3)));
  if (settings.noise === "none") return "You train an autoencoder: the nll alone, at the point μ.";
  const weight = factor.kl / factor.nll,
    meant = settings.averaged === "none" || settings.beta === 0;
  const made = meant ? "" : `: a β of ${settings.beta} was asked for, and a mean for a sum made ${short(weight)} of it`;
  const what = `nll + ${short(weight)} · KL`;
  if (weight === 0) return "You train the nll alone, with clouds whose width nothing keeps from shrinking.";
  if (settings.noise === "cut") return `You train ${what}, but the encoder hears the KL alone${made}.`;
  if (settings.noise === "off")
    return `You train ${what} without a draw, so the clouds are never seen by the decoder${made}.`;
  return weight === 1 ? "You train a VAE: nll + KL, the right −ELBO." : `You train ${what}, which is no −ELBO${made}.`;
}

/** Complete, valid settings from some that may be missing, mistyped or out of range. */
export function complete(some) {
  const settings = { ...DEFAULTS };
  for (const [name, [low, high]] of Object.entries(RANGES)) {
    const value = some[name] === "" || some[name] === null ? NaN : Number(some[name]);
    if (Number.isFinite(value)) settings[name] = Math.min(Math.max(value, low), high);
  }
  settings.seed = Math.round(settings.seed);
  if (WIDTHS.includes(Number(some.width))) settings.width = Number(some.width);
  if (NOISES.includes(some.noise)) settings.noise = some.noise;
  if (AVERAGED.includes(some.averaged)) settings.averaged = some.averaged;
  if (some.plane in PLANE_NAMES) settings.plane = some.plane;
  return settings;
}

const same = (a, b) => Object.keys(DEFAULTS).every((name) => a[name] === b[name]);

/** The lesson that has just these settings from start to end (whatever the seed), or null. */
export function lessonOf(settings) {
  const wanted = (lesson) => ({ ...DEFAULTS, ...lesson.settings, seed: settings.seed });
  return LESSONS.find((lesson) => !lesson.later && same(wanted(lesson), settings)) || null;
}

export const lessonCalled = (id) => LESSONS.find((lesson) => lesson.id === id) || null;

/** The end of an address: what differs from the start, "beta=20&seed=3" or "lesson=cut", or "". */
export function toHash(settings, lesson) {
  const shared = lesson ? { ...settings, ...DEFAULTS, seed: settings.seed } : settings; // the lesson says the rest
  const changed = Object.keys(DEFAULTS).filter((name) => shared[name] !== DEFAULTS[name]);
  const named = lesson && lesson !== LESSONS[0] ? [`lesson=${lesson.id}`] : [];
  return [...named, ...changed.map((name) => `${name}=${shared[name]}`)].join("&");
}

/** {settings, lesson} from the end of an address, or null where it says nothing about them ("", "#a-heading"). */
export function fromHash(hash) {
  const found = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [name, value] = part.split("=");
    if (value === undefined || !(name in DEFAULTS || name === "lesson")) return null;
    found[name] = value;
  }
  const called = lessonCalled(found.lesson),
    own = called ? called.settings : {};
  const settings = complete({ ...own, ...found });
  const kept = called && same(settings, complete({ ...own, seed: settings.seed }));
  return { settings, lesson: kept ? called : lessonOf(settings) };
}
