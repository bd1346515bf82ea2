// Progress of the project: what `cathode-tf rounds status` prints, for people who look at pages.

import { json } from "./api.js";
import { chart } from "./chart.js";

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const tile = (value, label) => element("div", "tile", element("b", "", value), element("span", "", label));
const three = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const signed = (value) => (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(3);
const interval = (row) => (row.low === null ? "one image" : `${three(row.low)} – ${three(row.high)}`);

function table(head, rows) {
  const line = (cells, tag) => element("tr", "", ...cells.map((cell) => element(tag, "", cell)));
  return element("div", "scroll", element("table", "", element("thead", "", line(head, "th")), element("tbody", "", ...rows.map((row) => line(row, "td")))));
}

function tiles(status) {
  return element(
    "div",
    "tiles",
    tile(status.round, "round"),
    tile(status.pool_annotated, "images to learn from"),
    tile(`${status.test_annotated} / ${status.test_images}`, "test images annotated"),
    tile(status.minutes.toFixed(1), "minutes of work"),
    tile(status.champion || "none", "model behind stable"),
  );
}

function advice(status) {
  // Before anything is annotated there is nothing to advise on, only what comes next.
  if (!status.pool_annotated && !status.models.length) return element("p", "next", "Next: ", element("span", "", status.next));
  const words = { "go on": "Go on", stop: "Enough", unsure: "Not sure yet" };
  return element(
    "section",
    `advice ${status.advice.decision.replace(" ", "-")}`,
    element("strong", "", words[status.advice.decision]),
    element("p", "", status.advice.because),
    element("p", "next", "Next: ", element("span", "", status.next)),
  );
}

function change(status) {
  const found = status.change;
  if (!found) return [];
  const overall = found.differences[0];
  const verdict = found.promoted ? (found.forced ? "promoted by force" : "promoted") : "not promoted";
  const rows = found.differences.map((row) => [
    row.where,
    three(row.champion),
    three(row.challenger),
    signed(row.difference),
    row.low === null ? "one image" : `${signed(row.low)} … ${signed(row.high)}`,
    row.images,
  ]);
  return [
    element("h2", "", `Did it get better? Model ${found.champion} → ${found.challenger}: ${signed(overall.difference)} mean Dice, ${verdict}`),
    element("p", "quiet", found.reason),
    table(["", `model ${found.champion}`, `model ${found.challenger}`, "difference", "95 % interval", "images"], rows),
  ];
}

function curves(status) {
  const measured = status.models.filter((model) => model.dice !== null);
  if (!measured.length) return [element("h2", "", "Dice against work"), element("p", "quiet", "Annotate the test images; then every model is measured on them when it is promoted.")];
  const point = (x) => (model) => ({ x: model[x], y: model.dice, low: model.low, high: model.high, mark: model.stable, label: `model ${model.name}: ${three(model.dice)}` });
  const fitted = status.curve && { x: status.curve.images, y: status.curve.dice, low: status.curve.low, high: status.curve.high };
  const figure = (caption, options) => element("figure", "", chart({ title: caption, yTitle: "mean Dice", ...options }), element("figcaption", "", caption));
  return [
    element("h2", "", "Dice against work, on the frozen test images"),
    element(
      "div",
      "figures",
      figure("Each model, by round", { xTitle: "round", whole: true, points: measured.map(point("round")) }),
      figure("By minutes of annotation", { xTitle: "minutes of work", points: measured.map(point("minutes")) }),
      figure(fitted ? "By annotated images, with the fitted curve" : "By annotated images", { xTitle: "images to learn from", whole: true, points: measured.map(point("images")), band: fitted }),
    ),
  ];
}

function models(status) {
  if (!status.models.length) return [];
  const names = status.phases.map((phase) => phase.name);
  const rows = status.models.map((model) => [
    `${model.name}${model.stable ? "  ● stable" : ""}`,
    model.round,
    model.images,
    model.minutes.toFixed(1),
    model.start,
    three(model.dice),
    model.dice === null ? "–" : interval(model),
    ...names.map((name) => three(model.by_phase[name])),
  ]);
  return [element("h2", "", "Models"), table(["model", "round", "images", "minutes", "began with", "mean Dice", "95 %", ...names], rows)];
}

function proposals(status) {
  if (!status.proposals.length) return [];
  const rows = status.proposals.map((row) => [row.round, row.images, row.untouched, three(row.dice), row.minutes_each.toFixed(1)]);
  return [
    element("h2", "", "What reviewing cost"),
    table(["round", "images", "accepted untouched", "Dice before correction", "minutes each"], rows),
  ];
}

async function show() {
  const status = await json("/api/status");
  document.title = `${status.name} · progress`;
  document.getElementById("name").textContent = status.name;
  document
    .getElementById("content")
    .replaceChildren(tiles(status), advice(status), ...change(status), ...curves(status), ...models(status), ...proposals(status));
}

show().catch((error) => document.getElementById("content").replaceChildren(element("p", "", error.message)));
