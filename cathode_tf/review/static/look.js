// One image, large, with the grey levels that are black and white.

import { el } from "./dom.js";
import { Window } from "./window.js";

// picture: its address; levels: that of its grey levels
export function look(desk, { name, picture, levels }) {
  const of = (query) => picture + (picture.includes("?") ? "&" : "?") + query;
  const shown = el("img", { src: picture, alt: name, id: "look-picture" });
  const [black, white] = ["black", "white"].map((which) => el("input", { id: `look-${which}`, "aria-label": `Level shown ${which}` }));
  const out = el("output", { id: "look-levels" });
  const window = new Window(black, white, out, ([low, high]) => (shown.src = of(`black=${low}&white=${high}`)));
  desk.dialog(
    el("h2", {}, name),
    el("div.looked", {}, shown),
    el("div.bar", {}, el("label", {}, "Black ", black), el("label", {}, "White ", white), el("span.quiet", {}, "Grey levels ", out)),
    el("form", { method: "dialog" }, el("button", {}, "Close")),
  );
  window.open(levels).catch((error) => desk.say(error.message));
}

// A thumbnail that opens the image.
export function thumbnail(desk, image, source) {
  const picture = el("img", { src: source, loading: "lazy", alt: `Look at ${image.name}`, onerror: (event) => (event.target.style.visibility = "hidden") });
  return el("button.look", { type: "button", title: "Look at it", onclick: () => look(desk, image) }, picture);
}
