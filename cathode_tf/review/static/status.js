// Progress of the project: what `cathode-tf rounds status` prints, for people who look at pages.

import { json } from "./api.js";

const status = await json("/api/status");
document.title = `${status.name} · progress`;
document.getElementById("name").textContent = status.name;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const tile = (value, label) => element("div", "tile", element("b", "", String(value)), element("span", "", label));
document.getElementById("content").append(
  element(
    "div",
    "tiles",
    tile(status.round, "round"),
    tile(`${status.pool_annotated}`, "images to learn from"),
    tile(`${status.test_annotated} / ${status.test_images}`, "test images annotated"),
    tile(status.minutes.toFixed(1), "minutes of work"),
    tile(status.champion || "none", "model behind stable"),
  ),
);
