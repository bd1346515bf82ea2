// Station 1: choose or drop a folder; what the files say; pixel sizes by the burnt-in bar; groups.

import * as api from "./api.js";
import { counted, el, nanometres } from "./dom.js";
import { measure } from "./scale.js";
import { Window } from "./window.js";

export const title = "Images";
export const about = (desk) => counted(desk.project.images.length, "image");
export const done = (desk) => desk.project.images.length > 0;

export async function draw(desk) {
  if (desk.project) return known(desk);
  if (desk.state.folder) return chosen(desk);
  return choose(desk);
}

async function choose(desk) {
  const recent = desk.state.recent.map((place) => el("li", {}, desk.action(place, () => desk.post("/api/app/open", { path: place }))));
  return [
    el("p", {}, "Choose the folder that holds your micrographs, or drop the files here. Nothing leaves this computer, and your files are only read."),
    dropZone(desk),
    recent.length && el("h2", {}, "Lately"),
    recent.length && el("ul.places", {}, ...recent),
    el("h2", {}, "On this computer"),
    await browser(desk, ""),
    archive(desk),
  ];
}

// Folders to go into; `pick` is called with the one that is chosen.
export async function browser(desk, path, pick = (place) => desk.post("/api/app/open", { path: place })) {
  const host = el("div");
  const show = async (place) => {
    const found = await api.json(`/api/app/folders?${new URLSearchParams({ path: place })}`);
    const rows = found.folders.map((folder) => el("li", {}, desk.action(`▸ ${folder.name}`, () => show(folder.path))));
    if (found.parent) rows.unshift(el("li", {}, desk.action("↑ one level up", () => show(found.parent))));
    const what = found.project ? "Open this project" : `Take the ${counted(found.images, "image")} of this folder`;
    const take = desk.action(what, () => pick(found.path), { primary: true, disabled: !found.project && !found.images, id: "take-folder" });
    host.replaceChildren(el("div.bar", {}, el("code", {}, found.path), take), el("ul.places", {}, ...rows));
  };
  await show(path);
  return host;
}

function dropZone(desk) {
  const input = el("input", { type: "file", multiple: true, accept: ".tif,.tiff,.png,.bmp,.jpg,.jpeg", hidden: true, id: "files" });
  const note = el("p", {}, "Drop images or their folder here, or ", el("button", { type: "button", onclick: () => input.click() }, "choose files"));
  const zone = el("div.drop", {}, note, input);
  const send = async (files) => {
    let sent = 0;
    const refused = [];
    for (const file of files) {
      note.textContent = `${file.name} (${sent + 1} of ${files.length}) …`;
      try {
        await api.post(`/api/app/upload?${new URLSearchParams({ name: file.name })}`, file);
      } catch (error) {
        refused.push(error.message);
      }
      sent++;
    }
    await desk.refresh(true);
    if (refused.length) desk.say(refused.join(" "));
  };
  input.addEventListener("change", () => send([...input.files]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    // Taken at once: after this event the browser forgets what was dropped.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    Promise.all(entries.map(filesOf)).then((found) => send(found.flat()), (error) => desk.say(error.message));
  });
  return zone;
}

const AN_IMAGE = /\.(tiff?|png|bmp|jpe?g)$/i;

// A dropped file, or the images directly in a dropped folder.
async function filesOf(entry) {
  const file = (one) => new Promise((done, failed) => one.file(done, failed));
  if (entry.isFile) return [await file(entry)];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
    if (!some.length) break;
    inside.push(...some);
  }
  return Promise.all(inside.filter((one) => one.isFile && AN_IMAGE.test(one.name)).map(file));
}

function archive(desk) {
  const input = el("input", { type: "file", accept: ".zip", hidden: true });
  input.addEventListener("change", async () => {
    try {
      await api.post("/api/app/archive", input.files[0]);
      desk.at = null;
      await desk.refresh(true);
    } catch (error) {
      desk.say(error.message);
    }
  });
  return el("p.quiet", {}, "A project from another computer: ", el("button", { type: "button", onclick: () => input.click() }, "open its zip"), input);
}

async function chosen(desk) {
  const { folder } = desk.state;
  const rows = await api.json("/api/app/files");
  const used = rows.filter((row) => row.use);
  const use = desk.action(`Use ${used.length === 1 ? "this image" : `these ${used.length} images`}`, async () => {
    const made = desk.post("/api/app/create", {});
    desk.refresh(true);
    const { broken } = await made;
    if (desk.at === "images") await desk.go("phases");
    if (broken.length) desk.say(`Left out: ${broken.map(([name, why]) => `${name} (${why})`).join("; ")}`);
  }, { primary: true, id: "use", disabled: !used.length });
  const table = rows.map((row) =>
    el(
      `tr${row.odd.length ? ".odd" : ""}${row.use ? "" : ".unused"}`,
      {},
      el("td", {}, row.name),
      el("td", {}, row.size ? `${row.size[0]} × ${row.size[1]}${row.slices > 1 ? ` × ${row.slices}` : ""}` : "–"),
      el("td", {}, row.dtype || "–"),
      el("td", {}, nanometres(row.pixel_size_nm) || "unknown"),
      el("td.quiet", {}, row.pixel_size_source),
      el("td", {}, [row.vendor, row.detector, row.kV && `${row.kV} kV`].filter(Boolean).join(", ")),
      el("td.quiet", {}, row.date || ""),
      el("td.note", {}, row.note),
    ),
  );
  const head = ["file", "size (px)", "type", "pixel size", "read from", "instrument", "date", ""];
  return [
    desk.step(`${folder}: ${counted(used.length, "micrograph")}. They are copied into a project; your files stay as they are.`, use),
    el("div.scroll", {}, el("table", {}, el("thead", {}, el("tr", {}, ...head.map((text) => el("th", {}, text)))), el("tbody", {}, ...table))),
    el("div.bar", {}, desk.action("Another folder", () => another(desk))),
  ];
}

async function another(desk) {
  const dialog = desk.dialog(el("h2", {}, "Another folder"), dropZone(desk), await browser(desk, "", async (place) => {
    await desk.post("/api/app/open", { path: place });
    dialog.close();
  }), el("form", { method: "dialog" }, el("button", {}, "Close")));
}

function known(desk) {
  const { project } = desk;
  const unknown = project.images.filter((image) => !image.pixel_size_nm);
  const odd = project.images.filter((image) => image.odd);
  const row = (image) =>
    el(
      `tr${image.odd ? ".odd" : ""}`,
      {},
      el("td", {}, el("button.look", { type: "button", title: "Look at it", onclick: () => look(desk, image) }, el("img", { src: `/api/images/${image.key}/thumbnail`, loading: "lazy", alt: `Look at ${image.name}` }))),
      el("td", {}, image.name, " ", image.role === "test" && el("span.chip", { title: "It measures the models, and is never learned from" }, "test")),
      el("td.wide-only", {}, `${image.width} × ${image.height}`),
      el("td", {}, image.pixel_size_nm ? nanometres(image.pixel_size_nm) : el("span", {}, "unknown ", el("button.measure-bar", { type: "button", onclick: () => measure(desk, image) }, "Measure"))),
      el("td.quiet.wide-only", {}, image.pixel_size_source),
      el("td", {}, project.can_regroup ? groupField(desk, image) : image.group),
      el("td.wide-only", {}, [image.vendor, image.detector, image.kV && `${image.kV} kV`].filter(Boolean).join(", ")),
      el("td.quiet.wide-only", {}, image.date || ""),
    );
  const heads = [["", ""], ["image", ""], ["size (px)", "wide-only"], ["pixel size", ""], ["from", "wide-only"], ["group", ""], ["instrument", "wide-only"], ["date", "wide-only"]];
  return [
    project.fixed_phases ? null : desk.step("The images are in. Next: say what they show.", desk.action("Phases", () => desk.go("phases"), { primary: true })),
    unknown.length > 0 && el("div.warn", {}, `${counted(unknown.length, "image")} without a pixel size: everything will be in pixels until you click the two ends of the burnt-in scale bar. `, desk.action("Measure a scale bar", () => measure(desk, unknown[0]), { id: "measure" })),
    odd.length > 0 && el("div.warn", {}, `Unlike most of the others in size or pixel size: ${odd.map((image) => image.name).slice(0, 6).join(", ")}${odd.length > 6 ? " …" : ""}.`),
    project.can_regroup &&
      el(
        "div.bar",
        {},
        el("span.quiet", {}, "Images of one stack or electrode belong together, so that none is tested on its neighbour. Group them"),
        ...[["by name", "name"], ["by likeness", "likeness"], ["not at all", "each"]].map(([text, how]) => desk.action(text, () => desk.post("/api/app/groups", { how }))),
      ),
    el("div.scroll", {}, el("table", {}, el("thead", {}, el("tr", {}, ...heads.map(([text, cls]) => el(cls ? `th.${cls}` : "th", {}, text)))), el("tbody", {}, ...project.images.map(row)))),
    desk.state.owner && el("div.bar", {}, desk.action("Open another folder or project", () => another(desk))),
  ];
}

// One image, large, with the grey levels that are black and white.
function look(desk, image) {
  const picture = el("img", { src: `/api/images/${image.key}/picture/grey`, alt: image.name, id: "look-picture" });
  const [black, white] = ["black", "white"].map((name) => el("input", { id: `look-${name}`, "aria-label": `Level shown ${name}` }));
  const out = el("output", { id: "look-levels" });
  const levels = new Window(black, white, out, ([low, high]) => (picture.src = `/api/images/${image.key}/picture/grey?black=${low}&white=${high}`));
  desk.dialog(
    el("h2", {}, image.name),
    el("div.looked", {}, picture),
    el("div.bar", {}, el("label", {}, "Black ", black), el("label", {}, "White ", white), el("span.quiet", {}, "Grey levels ", out)),
    el("form", { method: "dialog" }, el("button", {}, "Close")),
  );
  levels.open(image.key).catch((error) => desk.say(error.message));
}

function groupField(desk, image) {
  return el("input", {
    value: image.group,
    "aria-label": `Group of ${image.name}`,
    onchange: (event) => desk.post("/api/app/groups", { groups: { [image.key]: event.target.value } }).catch((error) => desk.say(error.message)),
  });
}
