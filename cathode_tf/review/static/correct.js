// Station 4: the way to the review page, and what to correct there.

import { counted, el } from "./dom.js";
import { chooseTests } from "./tests.js";
import { YARDSTICK } from "./words.js";

export const title = "Correct";
export const about = (desk) => {
  const { pool_annotated: pool, test_annotated: tests, test_images: all } = desk.project;
  return pool || tests ? `${pool} to learn from, ${tests} of ${all} test` : "";
};
export const done = (desk) => desk.project.pool_annotated > 0;

export function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const open = project.images.filter((image) => ["new", "proposed", "skipped"].includes(image.status));
  const tests = project.test_images - project.test_annotated;
  const need = project.pool_annotated < 2 ? `Two images to learn from${tests ? `, and ${tests === 1 ? "the test image" : "the test images"}` : ""} are a good start.` : tests ? `${counted(tests, "test image")} still ${tests === 1 ? "waits: it measures" : "wait: they measure"} whether a model got better.` : `${counted(open.length, "image")} left.`;
  const tested = project.images.filter((image) => image.role === "test");
  const tile = (value, label) => el("div.tile", {}, el("b", {}, value), el("span", {}, label));
  return [
    desk.step(`A few strokes where the mask is wrong, key A spreads them over the image, Enter accepts. ${need}`,
      el("a.button.primary", { href: "/review", id: "open-review" }, "Open the review page"),
      project.pool_annotated > 0 && desk.action("Train", () => desk.go("train"))),
    el("div.tiles", {}, tile(project.pool_annotated, "images to learn from"), tile(`${project.test_annotated} / ${project.test_images}`, "test images"), tile(open.length, "to do")),
    el("h2", {}, project.test_images === 1 ? "Your test image" : "Your test images"),
    el("p", {}, YARDSTICK, " Look at it closely."),
    el("div.picks", {}, ...tested.map((image) => el("a.pick", { href: `/review#${image.key}` }, el("img", { src: `/api/images/${image.key}/thumbnail`, loading: "lazy", alt: "" }), el("span", {}, image.name), el("span.quiet.small", {}, image.status === "accepted" ? "corrected" : "to do")))),
    el("div.bar", {}, desk.action(tested.length ? "Choose other test images" : "Choose a test image", () => chooseTests(desk), { id: "choose-tests" })),
    el("p", {}, el("a", { href: "/status" }, "Progress"), " shows what the work was worth so far."),
  ];
}
