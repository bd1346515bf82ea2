// Which images: a folder of this computer, files that are dropped, or a project from elsewhere.

import * as api from "./api.js";
import { counted, el } from "./dom.js";

export async function choose(desk) {
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

export async function another(desk) {
  const dialog = desk.dialog(el("h2", {}, "Another folder"), dropZone(desk), await browser(desk, "", async (place) => {
    await desk.post("/api/app/open", { path: place });
    dialog.close();
  }), el("form", { method: "dialog" }, el("button", {}, "Close")));
}
