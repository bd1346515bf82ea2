// The pixel size from a burnt-in scale bar: click its two ends, type its length.

import { counted, el, nanometres } from "./dom.js";

const UNITS = { nm: 1, "µm": 1000, mm: 1e6 };

export function measure(desk, image) {
  const { project } = desk;
  const picture = el("img", { src: `/api/images/${image.key}/strip`, alt: `${image.name} with its data strip`, draggable: false });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const box = el("div.measure", { id: "measure-box" }, picture, line);
  const length = el("input", { type: "text", size: 6, inputMode: "decimal", placeholder: "10", id: "bar-length", "aria-label": "Length of the bar" });
  const unit = el("select", { id: "bar-unit", "aria-label": "Unit" }, ...Object.keys(UNITS).map((name) => el("option", { selected: name === "µm" }, name)));
  const alike = project.images.filter((other) => !other.pixel_size_nm && other.width === image.width && other.height === image.height);
  const all = el("input", { type: "checkbox", checked: false, id: "bar-all" });
  const note = el("p.quiet", { id: "bar-note" }, "Click one end of the bar, then the other. Scroll to the strip at the bottom; + and − change the zoom.");
  let zoom = 1;
  let ends = [];

  const pixels = () => Math.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1]);
  const nanometer = () => {
    const value = Number(length.value.replace(",", "."));
    return Number.isFinite(value) && value > 0 ? value * UNITS[unit.value] : null;
  };
  const show = () => {
    picture.style.width = `${picture.naturalWidth * zoom}px`;
    const marks = ends.map(([x, y]) => `<path d="M${x * zoom - 9} ${y * zoom}h18M${x * zoom} ${y * zoom - 9}v18" stroke="#ff4fd8" stroke-width="2"/>`);
    if (ends.length === 2) marks.push(`<line x1="${ends[0][0] * zoom}" y1="${ends[0][1] * zoom}" x2="${ends[1][0] * zoom}" y2="${ends[1][1] * zoom}" stroke="#ff4fd8" stroke-width="2"/>`);
    line.innerHTML = marks.join("");
    if (ends.length === 2) {
      const nm = nanometer();
      note.textContent = `${pixels().toFixed(1)} px${nm ? ` = ${length.value} ${unit.value}: a pixel is ${nanometres(nm / pixels())}` : "; now type the bar's length"}. Click again to begin anew.`;
    }
    keep.disabled = !(ends.length === 2 && nanometer());
  };
  const keep = desk.action("Keep", async () => {
    const keys = all.checked ? alike.map((other) => other.key) : [image.key];
    await desk.post("/api/app/scale", { keys, length_px: pixels(), length_nm: nanometer() });
    dialog.close();
  }, { primary: true, id: "bar-keep", disabled: true });
  picture.addEventListener("click", (event) => {
    const bounds = picture.getBoundingClientRect();
    const scale = picture.naturalWidth / bounds.width;
    if (ends.length === 2) ends = [];
    ends.push([(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale]);
    // A bar lies level: a hand that slips a pixel does not make it longer.
    if (ends.length === 2 && Math.abs(ends[0][1] - ends[1][1]) < 0.03 * Math.abs(ends[0][0] - ends[1][0])) ends[1][1] = ends[0][1];
    show();
    if (ends.length === 2) length.focus();
  });
  picture.addEventListener("load", () => {
    zoom = Math.max(1, Math.floor(box.clientWidth / picture.naturalWidth));
    show();
    box.scrollTop = box.scrollHeight;
  });
  length.addEventListener("input", show);
  unit.addEventListener("change", show);
  const by = (factor) => {
    zoom = Math.min(8, Math.max(0.25, zoom * factor));
    show();
  };
  const dialog = desk.dialog(
    el("h2", {}, `Scale bar of ${image.name}`),
    box,
    note,
    el("div.bar", {}, el("button", { type: "button", onclick: () => by(2) }, "+"), el("button", { type: "button", onclick: () => by(0.5) }, "−"),
      el("label", {}, "The bar is ", length), unit,
      alike.length > 1 && el("label", {}, all, ` the same for all ${counted(alike.length, "image")} of this size without one`),
      keep, el("form", { method: "dialog" }, el("button", {}, "Cancel"))),
  );
}
