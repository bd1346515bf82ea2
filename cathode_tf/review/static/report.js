// Station 7: numbers with intervals, one page for others, and everything to take along.

import * as api from "./api.js";
import { el } from "./dom.js";
import { batch } from "./apply.js";

export const title = "Report";
export const about = (desk) => (desk.job("report", "done") ? "there is one" : "");
export const done = (desk) => Boolean(desk.job("report", "done"));

export async function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const running = desk.job("report", "running", "waiting", "paused");
  const found = await api.json(`/api/app/batch/${batch}`);
  const last = desk.job("report", "done");
  const parts = [];
  if (!found.images.length) return [desk.step("Masks for all images come first.", desk.action("Apply", () => desk.go("apply"), { primary: true }))];
  if (!running)
    parts.push(desk.step(
      found.report ? "The report stands. Make it again after you changed masks." : `Measure phases, particles and pores of ${found.images.length} images, each number with its interval.`,
      found.report && el("a.button.primary", { href: `/api/app/report/${batch}`, target: "_blank", id: "open-report" }, "Open the report"),
      desk.action(found.report ? "Make it again" : "Make the report", () => desk.post("/api/app/jobs", { kind: "report", batch }), { primary: !found.report, id: "make-report" }),
    ));
  if (last?.result?.fractions && last.result.batch === batch) {
    const rows = Object.entries(last.result.fractions).map(([name, text]) => el("tr", {}, el("td", {}, name), el("td", {}, text.replace("+-", "±"))));
    parts.push(el("h2", {}, "Area fractions"), el("table", { style: "width: auto" }, el("tbody", {}, ...rows)));
  }
  for (const note of last?.notes || []) parts.push(el("div.warn", {}, note));
  const item = (what, text, shown = true) => shown && el("a.button", { href: `/api/app/download/${what}?batch=${batch}`, id: `get-${what}` }, text);
  parts.push(
    el("h2", {}, "Take along"),
    el("div.bar", {}, item("report", "Report (HTML)", found.report), item("xlsx", "Tables (XLSX)", found.report), item("tables", "Tables (CSV, JSON)", found.report), item("masks", "Masks"), item("figures", "Figures"), item("project", "The whole project (zip)")),
    el("p.quiet.small", {}, "The project's zip opens on another computer by Images, “open its zip”. Images are kept by the hash of their pixels, so a label never ends up on another image."),
  );
  return parts;
}
