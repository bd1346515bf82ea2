// Station 3: what the model makes of three images, side by side; then of all.

import { counted, el, time } from "./dom.js";
import { chooseTests } from "./tests.js";
import { UNSURE, YARDSTICK } from "./words.js";

export const title = "Propose";
export const about = (desk) => {
  const count = desk.project.images.filter((image) => image.proposed).length;
  return count ? `${counted(count, "proposal")}, round ${desk.project.round}` : "";
};
export const done = (desk) => desk.project.round > 0;
export const live = (desk) => desk.job("propose")?.state;

export function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const running = desk.job("propose", "running", "waiting", "paused");
  const model = project.champion ? `your model ${project.champion}` : "the model that comes with the package";
  const last = desk.job("propose", "done");
  const keys = last?.result.keys || project.first;
  const shown = project.images.filter((image) => keys.includes(image.key)).slice(0, 6);
  const waiting = project.images.filter((image) => ["new", "proposed", "skipped"].includes(image.status));
  const left = waiting.filter((image) => !image.proposed || (image.role !== "test" && project.champion && image.model !== Number(project.champion)));
  const about = (seconds) => (seconds === null ? "" : ` (about ${time(seconds)})`);
  const start = (first) => desk.post("/api/app/jobs", { kind: "propose", first });
  const parts = [];
  if (!project.can_propose) {
    parts.push(el("div.warn", {}, "The model that comes with the package knows fewer than two of these phases. Paint two images or more, then train: your own model will propose."), desk.action("Correct", () => desk.go("correct"), { primary: true }));
  } else if (running) {
    parts.push(el("p", {}, `${model[0].toUpperCase()}${model.slice(1)} looks at the images; each is shown when it is done.`));
  } else if (!project.round || (project.champion && !shown.some((image) => image.model === Number(project.champion)))) {
    parts.push(desk.step(`First on ${counted(shown.length, "image")}: ${model} proposes masks, and you say whether it is any good.`,
      desk.action(`Propose on three images${about(project.seconds_first)}`, () => start(true), { primary: true, id: "propose-first" })));
  } else {
    parts.push(desk.step(
      "Good enough to begin with? It gets better with each image that you correct.",
      left.length > 0 && desk.action(`Propose all ${left.length} others${about(project.seconds_all)}`, () => start(false), { id: "propose-all" }),
      desk.action("Correct them", () => (location.href = "/review"), { primary: true, id: "to-review" })));
  }
  const figure = (image) =>
    el("figure", {},
      el("div.both", { title: "Hold the pointer over it to see the image alone" },
        el("img", { src: `/api/images/${image.key}/picture/grey`, alt: image.name }),
        image.proposed && el("img", { src: `/api/images/${image.key}/picture/proposal?of=${image.model}-${project.round}`, alt: `proposal for ${image.name}` })),
      el("figcaption", {}, image.name,
        image.role === "test" && el("button.chip", { type: "button", title: YARDSTICK, onclick: () => chooseTests(desk) }, "test image"),
        image.foreign && el("span.chip.warn", { title: "Its grey levels and texture are unlike all that the model learned from" }, "not a kind that the model knows"),
        image.unsure !== null && el("span.quiet", { title: UNSURE }, `unsure ${Math.round(100 * image.unsure)} %`)));
  const strange = project.images.filter((image) => image.foreign);
  if (strange.length && !running)
    parts.push(el("div.warn", {}, `Not a cathode that ${model} knows: ${strange.map((image) => image.name).slice(0, 6).join(", ")}${strange.length > 6 ? " …" : ""}. Its masks may be far off: correct two or three, and train; your own model then knows this kind.`));
  const legend = project.phases.filter((phase) => !phase.off).map((phase) => el("span.phase", {}, el("i.swatch", { style: `background:${phase.color}` }), phase.name));
  return [...parts, el("div", {}, ...legend), shown.some((image) => image.unsure !== null) && el("p.quiet.small", {}, UNSURE), el("div.pictures", {}, ...shown.map(figure))];
}
