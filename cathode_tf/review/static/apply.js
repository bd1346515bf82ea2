// Station 6: masks for all images, or for another folder; each image's state, doubtful ones first.

import * as api from "./api.js";
import { counted, el } from "./dom.js";
import { browser } from "./choosing.js";
import { UNSURE } from "./words.js";

export const title = "Apply";
export const about = (desk) => (desk.job("apply", "done") ? `${counted(desk.job("apply", "done").result.images, "mask")}` : "");
export const done = (desk) => Boolean(desk.job("apply", "done"));
export const live = (desk) => desk.job("apply", "running", "paused")?.done;

export let batch = "project";

export async function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const running = desk.job("apply", "running", "waiting", "paused");
  const model = project.champion ? `your model ${project.champion}` : "the default model";
  const found = await api.json(`/api/app/batch/${batch}`);
  const doubtful = found.images.filter((image) => image.doubtful);
  const parts = [];
  if (!running)
    parts.push(
      desk.step(
        `Masks for all ${counted(project.images.length, "image")}: those that you accepted as they are, the others by ${model}.`,
        desk.action("Segment all images", () => desk.post("/api/app/jobs", { kind: "apply" }), { primary: !found.images.length, id: "apply" }),
        found.images.length > 0 && desk.action("Report", () => desk.go("report"), { primary: true, id: "to-report-button" }),
      ),
      desk.state.owner && el("div.bar", {}, desk.action("Another folder …", async () => {
        const dialog = desk.dialog(el("h2", {}, "Segment the images of another folder"), await browser(desk, "", async (place) => {
          dialog.close();
          await desk.post("/api/app/jobs", { kind: "apply", folder: place });
        }), el("form", { method: "dialog" }, el("button", {}, "Close")));
      })),
    );
  else parts.push(el("p", {}, "Each mask is kept as it is made and listed here. You may close this page: the work goes on, and after a pause or a restart it is taken up where it was."));
  if (found.batches.length > 1)
    parts.push(el("label", {}, "Batch ", el("select", { onchange: (event) => { batch = event.target.value; desk.refresh(true); } }, ...found.batches.map((name) => el("option", { selected: name === batch }, name)))));
  if (doubtful.length) parts.push(el("div.warn", {}, `Doubtful, look at them before you believe their numbers: ${doubtful.map((image) => image.name).slice(0, 8).join(", ")}${doubtful.length > 8 ? " …" : ""}.`));
  if (found.images.some((image) => image.score !== null)) parts.push(el("p.quiet.small", {}, UNSURE));
  const row = (image) =>
    el("tr", {},
      batch === "project" && el("td", {}, el("img", { src: `/api/images/${image.key}/thumbnail`, loading: "lazy", alt: "" })),
      el("td", {}, image.name),
      el("td", {}, el(`span.chip${image.state === "accepted" ? ".good" : image.state === "broken" ? ".bad" : ""}`, {}, image.state)),
      el("td", {}, image.score !== null && el("span", { title: UNSURE }, `unsure ${Math.round(100 * image.score)} %`)),
      el("td.note", {}, image.why || (image.foreign ? `not a kind that the model knows: ${image.foreign}` : image.doubtful ? "doubtful" : "")),
      batch === "project" && el("td", {}, el("a", { href: `/review#${image.key}` }, "look")));
  if (found.images.length) parts.push(el("div.scroll", {}, el(`table.images${batch === "project" ? "" : ".bare"}`, {}, el("tbody", {}, ...found.images.map(row)))));
  return parts;
}
