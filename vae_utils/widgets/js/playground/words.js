// What the playground says: figures for people, the place under the pointer, the history as a table, and what is to be seen.

import { a, number } from "../live.js";

const SILENT = 0.1; // nats: a number of the code that carries less says nothing

/** A figure for people: never NaN, never "Infinity". */
export function figure(value, digits) {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e7) return "more than can be shown";
  const shown = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? Math.min(digits, 1) : digits;
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US").replace("-", "−") : number(value, shown);
}

export const plain = (value) => String(value).replace("-", "−");

/** The place of the plane under the pointer (0 to 1, from the left and from the top), and the nearest cloud. */
export function placeInWords({ mu, sd, range, settings }, { trained, labels, names }, right, down) {
  const z = [range * (2 * right - 1), range * (1 - 2 * down)];
  const cloudy = settings.noise === "on" || settings.noise === "cut";
  const apart = (i) => [0, 1].map((l) => (z[l] - mu[2 * i + l]) / (cloudy ? sd[2 * i + l] : 1));
  let nearest = 0,
    least = Infinity;
  for (let i = 0; i < trained; i++) {
    const far = Math.hypot(...apart(i));
    if (far < least) [nearest, least] = [i, far];
  }
  const whose = a(names[labels[nearest]]),
    place = z.map((value) => figure(value, 2)).join(", ");
  return `z = (${place}): the nearest ${cloudy ? "cloud" : "code"} is ${whose}'s, ${figure(least, 1)}${cloudy ? " of its widths" : ""} away.`;
}

/** The values of the curves at a step, from the history of averages. */
export function stepInWords(step, noted, floor) {
  const point = noted.findLast(([at]) => at <= step);
  if (step === null || !point) return "";
  const [at, nll, ...kl] = point;
  return `Step ${at.toLocaleString("en-US")}: nll ${figure(nll - floor, 1)} above its floor, KL ${figure(kl[0], 2)} and ${figure(kl[1], 2)}, in all ${figure(nll - floor + kl[0] + kl[1], 1)} nats.`;
}

/** The history as a table that spreadsheets read: on training pictures, averages over a few steps. */
export function table(noted, floor) {
  const rows = noted.map(([step, nll, kl1, kl2]) => [step, nll - floor, kl1, kl2, nll - floor + kl1 + kl2]);
  return ["step,nll above its floor,KL 1,KL 2,-ELBO above the floor", ...rows.map((row) => row.join(","))].join("\n");
}

/** What is to be seen, in sentences. */
export function tell({ steps, epochs, figures, settings }, trained) {
  const { nll, kl, distance, withNoise, torn } = figures;
  const rounds = epochs === 0 ? "" : `, ${epochs === 1 ? "once" : `${epochs} times`} through the ${trained} pictures`;
  const words = [`Step ${steps.toLocaleString("en-US")}${rounds}.`];
  words.push(`Pictures that it was not trained on come back with an nll of ${figure(nll, 1)} nats above its floor.`);
  if (settings.noise === "none") words.push("There is no KL in the loss, so each picture is a point.");
  else {
    const silent = kl.map((value) => value < SILENT);
    words.push(`The two numbers of the code cost ${figure(kl[0], 2)} and ${figure(kl[1], 2)} nats of KL.`);
    if (silent[0] && silent[1])
      words.push("Both are silent: every picture gets the same cloud, and comes back as the same picture.");
    else if (silent[0] || silent[1])
      words.push(`The ${silent[0] ? "first" : "second"} is silent: it says next to nothing about the picture.`);
  }
  if (settings.noise === "off")
    words.push(`With the noise put back, the nll would be ${figure(withNoise, 1)} above its floor.`);
  if (settings.plane === "shuffled")
    words.push(
      settings.noise === "on" || settings.noise === "cut"
        ? `The plane is shuffled: a draw from a torn cloud may decode to something else, and the nll becomes ${figure(torn, 1)}.`
        : "The plane is shuffled, and no picture has changed.",
    );
  const all = nll + kl[0] + kl[1];
  if (settings.noise !== "none") words.push(`Together, nll and KL are ${figure(all, 1)} nats above the floor.`);
  words.push(`All codes together lie ${figure(distance, 2)} from the prior.`);
  return words.join(" ");
}
