// The playground's controls: sliders over lists of values, and choices.

import { element } from "../live.js";
import { AVERAGED_NAMES, BETAS, NOISE_NAMES, PLANE_NAMES, RATES, WIDTHS } from "./lessons.js";
import { plain } from "./words.js";

/** Each control: {box, show}; show() sets it to settings(), and a change calls set(some, restarts). */
export function makeControls(settings, set) {
  const nearest = (list, value) => {
    const off = list.map((entry) => Math.abs(Math.log((entry + 1e-4) / (value + 1e-4))));
    return off.indexOf(Math.min(...off));
  };
  const sliding = (name, words, list) => {
    const input = element("input", { type: "range", min: 0, max: list.length - 1, step: 1, "aria-label": words });
    const value = element("span", { class: "pg-value", "aria-hidden": "true" });
    input.addEventListener("input", () => set({ [name]: list[Number(input.value)] }));
    const show = () => {
      input.value = nearest(list, settings()[name]);
      value.textContent = plain(settings()[name]);
      input.setAttribute("aria-valuetext", plain(settings()[name]));
    };
    return { show, box: element("label", { class: "control" }, element("span", {}, words), input, value) };
  };
  const choosing = (name, words, choices, restarts = false) => {
    const select = element(
      "select",
      { "aria-label": words },
      ...Object.entries(choices).map(([value, text]) => element("option", { value }, text)),
    );
    select.addEventListener("change", () => set({ [name]: select.value }, restarts));
    const show = () => (select.value = String(settings()[name]));
    return { show, box: element("label", { class: "control" }, element("span", {}, words), select) };
  };
  const widths = Object.fromEntries(WIDTHS.map((width) => [width, `${width} units`]));
  return [
    sliding("beta", "β (KL weight)", BETAS),
    sliding("lr", "learning rate", RATES),
    choosing("noise", "noise", NOISE_NAMES),
    choosing("averaged", "sum or mean", AVERAGED_NAMES),
    choosing("plane", "plane", PLANE_NAMES),
    choosing("width", "width", widths, true),
  ];
}
