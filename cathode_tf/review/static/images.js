// Station 1: choose or drop a folder; what the files say and show; pixel sizes, typed or by the burnt-in bar; groups.

import * as api from "./api.js";
import { another, choose } from "./choosing.js";
import { counted, el, nanometres } from "./dom.js";
import { thumbnail } from "./look.js";
import { measure } from "./scale.js";
import { chooseTests } from "./tests.js";
import { YARDSTICK } from "./words.js";

export const title = "Images";
export const about = (desk) => counted(desk.project.images.length, "image");
export const done = (desk) => desk.project.images.length > 0;

let typed = ""; // nm per pixel of the files that state none, before they are taken
let typedFor = null; // the folder that they are in
let said = ""; // what came of the last grouping

export async function draw(desk) {
  if (desk.project) return known(desk);
  if (desk.state.folder) return chosen(desk);
  return choose(desk);
}

const fileAt = (what, name) => `/api/app/files/${what}?${new URLSearchParams({ name })}`;
const file = (name) => ({ name, picture: fileAt("picture", name), levels: fileAt("levels", name) });

// The files of a folder, before any is taken.
async function chosen(desk) {
  const { folder } = desk.state;
  if (folder !== typedFor) [typed, typedFor] = ["", folder];
  const rows = await api.json("/api/app/files");
  const used = rows.filter((row) => row.use);
  const use = desk.action(`Use ${used.length === 1 ? "this image" : `these ${used.length} images`}`, async () => {
    const made = desk.post("/api/app/create", { pixel_size_nm: typed });
    const shown = desk.refresh(true); // how far the copying is
    const { broken } = await made.finally(() => shown); // a refusal is said on what is drawn then
    if (desk.at === "images") await desk.go("phases");
    if (broken.length) desk.say(`Left out: ${broken.map(([name, why]) => `${name} (${why})`).join("; ")}`);
  }, { primary: true, id: "use", disabled: !used.length });
  const table = rows.map((row) =>
    el(
      `tr${row.odd.length ? ".odd" : ""}${row.use ? "" : ".unused"}`,
      {},
      el("td", {}, row.size && thumbnail(desk, file(row.name), fileAt("thumbnail", row.name))),
      el("td", {}, row.name),
      el("td", {}, row.size ? `${row.size[0]} × ${row.size[1]}${row.slices > 1 ? ` × ${row.slices}` : ""}` : "–"),
      el("td.wide-only", {}, row.dtype || "–"),
      el("td", { "data-label": "pixel size" }, nanometres(row.pixel_size_nm) || "unknown"),
      el("td.quiet.wide-only", {}, row.pixel_size_source),
      el("td", {}, [row.vendor, row.detector, row.kV && `${row.kV} kV`].filter(Boolean).join(", ")),
      el("td.quiet.wide-only", {}, row.date || ""),
      el("td.note", {}, row.note),
    ),
  );
  const unknown = used.filter((row) => !row.pixel_size_nm);
  const field = el("input", { id: "typed-nm", value: typed, size: 8, inputMode: "decimal", placeholder: "e.g. 11.16", "aria-label": "nm per pixel", oninput: (event) => (typed = event.target.value) });
  const head = ["", "file", "size (px)", "type", "pixel size", "read from", "instrument", "date", ""];
  return [
    desk.step(`${folder}: ${counted(used.length, "micrograph")}. They are copied into a project; your files stay as they are.`, use),
    unknown.length > 0 && el("div.bar", {}, el("label", {}, `Pixel size of ${unknown.length === used.length ? `the ${counted(used.length, "image")}, which no file states` : `the ${counted(unknown.length, "image")} that ${unknown.length === 1 ? "states" : "state"} none`}: `, field, " nm"), el("span.quiet", {}, "Leave it empty if you do not know it: a burnt-in bar can be clicked later; without either, lengths are in pixels.")),
    el("div.scroll", {}, el("table.images", {}, el("thead", {}, el("tr", {}, ...head.map((text) => el("th", {}, text)))), el("tbody", {}, ...table))),
    el("div.bar", {}, desk.action("Another folder", () => another(desk))),
  ];
}

function known(desk) {
  const { project } = desk;
  const unknown = project.images.filter((image) => !image.pixel_size_nm);
  const odd = project.images.filter((image) => image.odd);
  const tests = project.images.filter((image) => image.role === "test");
  const row = (image) =>
    el(
      `tr${image.odd ? ".odd" : ""}`,
      {},
      el("td", {}, thumbnail(desk, { name: image.name, picture: `/api/images/${image.key}/picture/grey`, levels: `/api/images/${image.key}/window` }, `/api/images/${image.key}/thumbnail`)),
      el("td.name", {}, image.name, " ", image.role === "test" && el("button.chip", { type: "button", title: YARDSTICK, onclick: () => chooseTests(desk) }, "test image")),
      el("td.wide-only", {}, `${image.width} × ${image.height}`),
      el("td", { "data-label": "pixel size" }, image.pixel_size_nm ? nanometres(image.pixel_size_nm) : el("span.size", {}, sizeField(desk, [image], `nm per pixel of ${image.name}`), el("button.measure-bar", { type: "button", title: "Click the two ends of its scale bar", onclick: () => measure(desk, image) }, "Scale bar"))),
      el("td.quiet.wide-only", {}, image.pixel_size_source),
      el("td", { "data-label": "group" }, project.can_regroup ? groupField(desk, image) : image.group),
      el("td.wide-only", {}, [image.vendor, image.detector, image.kV && `${image.kV} kV`].filter(Boolean).join(", ")),
      el("td.quiet.wide-only", {}, image.date || ""),
    );
  const heads = [["", ""], ["image", ""], ["size (px)", "wide-only"], ["pixel size", ""], ["from", "wide-only"], ["group", ""], ["instrument", "wide-only"], ["date", "wide-only"]];
  return [
    project.fixed_phases ? null : desk.step("The images are in. Next: say what they show.", desk.action("Phases", () => desk.go("phases"), { primary: true })),
    unknown.length > 0 && el("div.warn", {}, `${counted(unknown.length, "image")} without a pixel size: lengths will be in pixels. Type it for ${unknown.length === 1 ? "it" : "all of them"}: `, sizeField(desk, unknown, "nm per pixel", "typed-nm"), " or ", desk.action("click the two ends of a scale bar", () => measure(desk, unknown[0]), { id: "measure" })),
    odd.length > 0 && el("div.warn", {}, `Unlike most of the others in size or pixel size: ${names(odd)}.`),
    project.can_regroup &&
      el(
        "div.bar",
        {},
        el("span.quiet", {}, "Images of one stack or electrode belong together, so that none is tested on its neighbour. Group them"),
        ...[["by name", "name"], ["by likeness", "likeness"], ["not at all", "each"]].map(([text, how]) => desk.action(text, () => regroup(desk, how), { id: `group-${how}` })),
      ),
    project.can_regroup && said && el("p.quiet", { id: "grouped" }, said),
    el("div.bar", {}, el("span.quiet", { title: YARDSTICK }, tests.length ? `${tests.length > 1 ? "Test images" : "Test image"}, which no model learns from: ${names(tests)}.` : "No test image: nothing will tell whether a model got better."), desk.action("Choose", () => chooseTests(desk), { id: "choose-tests" })),
    el("div.scroll", {}, el("table.images", {}, el("thead", {}, el("tr", {}, ...heads.map(([text, cls]) => el(cls ? `th.${cls}` : "th", {}, text)))), el("tbody", {}, ...project.images.map(row)))),
    desk.state.owner && el("div.bar", {}, desk.action("Open another folder or project", () => another(desk))),
  ];
}

const names = (images) => images.map((image) => image.name).slice(0, 6).join(", ") + (images.length > 6 ? " …" : "");

async function regroup(desk, how) {
  const { groups, said: more } = await api.tell("/api/app/groups", { how });
  said = `${counted(groups, "group")}. ${more}`;
  await desk.refresh(true);
}

// nm per pixel of images of which no file says it; kept when the field is left.
function sizeField(desk, images, label, id) {
  const keep = (event) => event.target.value.trim() && desk.post("/api/app/scale", { keys: images.map((image) => image.key), pixel_size_nm: event.target.value }).catch((error) => desk.say(error.message));
  return el("span", {}, el("input.nm", { id, size: 7, inputMode: "decimal", placeholder: "unknown", "aria-label": label, onchange: keep }), " nm ");
}

function groupField(desk, image) {
  return el("input", {
    value: image.group,
    "aria-label": `Group of ${image.name}`,
    onchange: (event) => desk.post("/api/app/groups", { groups: { [image.key]: event.target.value } }).catch((error) => desk.say(error.message)),
  });
}
