// Station 7: numbers with intervals, one page for others, and everything to take along.

import * as api from "./api.js";
import { el } from "./dom.js";
import { batch } from "./apply.js";

export const title = "Report";
export const about = (desk) => (desk.job("report", "done") ? "there is one" : "");
export const done = (desk) => Boolean(desk.job("report", "done"));
export const live = (desk) => desk.job("apply", "running", "paused")?.done;

export async function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const running = desk.job("report", "running", "waiting", "paused");
  const found = await api.json(`/api/app/batch/${batch}`);
  const last = desk.job("report", "done");
  const parts = [];
  const applying = desk.job("apply", "running", "waiting", "paused");
  if (applying) {
    const count = applying.of ? ` (${applying.done} of ${applying.of})` : "";
    return [
      desk.step(
        applying.state === "paused" ? `Apply is paused${count}: the report waits until all masks are there. Resume it below, or stop it to measure the masks that there are.` : `Masks are still being made${count}: the report waits until all are there.`,
        desk.action("Apply", () => desk.go("apply")),
        found.report && el("a.button", { href: `/api/app/report/${batch}`, target: "_blank", id: "open-report" }, "Open the last report"),
      ),
    ];
  }
  if (!found.images.length) return [desk.step("Masks for all images come first.", desk.action("Apply", () => desk.go("apply"), { primary: true }))];
  const { points } = found;
  const fewer = points.labelled < 20;
  const label = async () => {
    if (!points.of) await api.tell("/api/app/points", { batch, points: 100 });
    location.href = `/verify?batch=${encodeURIComponent(batch)}`;
  };
  if (!running)
    parts.push(desk.step(
      found.report ? "The report stands. Make it again after you changed masks or labelled points." : `Measure phases, particles and pores of ${found.images.length} images, each number with its interval.`,
      found.report && el("a.button.primary", { href: `/api/app/report/${batch}`, target: "_blank", id: "open-report" }, "Open the report"),
      desk.action(found.report ? "Make it again" : "Make the report", () => desk.post("/api/app/jobs", { kind: "report", batch }), { primary: !found.report, id: "make-report" }),
    ));
  if (last?.result?.worth && last.result.batch === batch) parts.push(el("p", {}, last.result.worth));
  for (const size of found.sizes)
    parts.push(el("p", {}, "Lengths at ", el("a", { href: `/api/app/report/${batch}?size=${size}`, target: "_blank" }, `${size.replace("nm", " nm")} a pixel`)));
  parts.push(
    el("h2", {}, "Check the masks"),
    el("p", {}, points.result || "Nobody can see from a mask what it is worth. Name the phase at random points, without seeing the mask: after 20 points the report tells how far to believe it, after 100 it is a measurement."),
    el("div.bar", {},
      desk.action(points.labelled ? `Go on labelling (${points.labelled} of ${points.of})` : "Label 100 points", label, { id: "label-points", primary: Boolean(found.report) && fewer }),
      points.of > 0 && desk.action("Draw new points", () => desk.post("/api/app/points", { batch, points: 100, again: true }), { id: "new-points" })),
  );
  if (last?.result?.fractions && last.result.batch === batch) {
    const rows = Object.entries(last.result.fractions).map(([name, text]) => el("tr", {}, el("td", {}, name), el("td", {}, text.replace("+-", "±"))));
    parts.push(el("h2", {}, "Area fractions"), el("table.wrap", { style: "width: auto" }, el("tbody", {}, ...rows)));
  }
  for (const note of last?.notes || []) parts.push(el("div.warn", {}, note));
  const item = (what, text, shown = true) => shown && el("a.button", { href: `/api/app/download/${what}?batch=${batch}`, id: `get-${what}` }, text);
  parts.push(
    el("h2", {}, "Take along"),
    el("div.bar", {}, item("report", "Report (HTML)", found.report), item("xlsx", "Tables (XLSX)", found.report), item("tables", "Tables (CSV, JSON)", found.report), item("masks", "Masks"), item("figures", "Figures"), item("project", "The whole project (zip)")),
    el("p.quiet.small", {}, "The project's zip opens on another computer by Images, “open its zip”. Images are kept by the hash of their pixels, so a label never ends up on another image."),
  );
  if (desk.state.owner) parts.push(...(await lots(found.report ? project.path : null)));
  return parts;
}

// What the numbers of this batch say beside those of other lots, where a ledger lies beside the project.
async function lots(path) {
  const { ledgers } = await api.json("/api/app/lots");
  if (!ledgers.length && !path) return [];
  const open = ({ name, path: file }) => el("a.button", { href: `/api/app/lots/report?ledger=${encodeURIComponent(file)}`, target: "_blank" }, name.replace(/\.db$/, ""));
  const how = ledgers.length ? "cathode-tf lots add LEDGER" : "cathode-tf lots init plant.db && cathode-tf lots add plant.db";
  return [
    el("h2", {}, "Lots"),
    ledgers.length ? el("div.bar", { id: "ledgers" }, ...ledgers.map(open)) : null,
    path && el("p.quiet.small", {}, ledgers.length ? "To put these numbers into such a ledger, beside those of other lots: " : "No ledger lies beside this project yet. To begin one, which keeps these numbers beside those of other lots: ", el("code", {}, `${how} "${path}/batches/${batch}/analysis" --lot NAME`)),
  ].filter(Boolean);
}
