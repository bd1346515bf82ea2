// Every command of the page with its key; the help is made from the same table.

import { TOOLS } from "./tools.js";

const $ = (id) => document.getElementById(id);
const value = (id) => Number($(id).value);

export const commands = [
  ...TOOLS.map((tool) => ({ group: "Tools", keys: [tool.key], says: `${tool.label}: ${tool.says}`, run: (e) => e.setTool(tool.id) })),
  { group: "Tools", keys: ["["], says: "Smaller brush (or Shift + wheel)", run: (e) => e.setSize(Math.min(e.size - 1, e.size / 1.2)) },
  { group: "Tools", keys: ["]"], says: "Larger brush", run: (e) => e.setSize(Math.max(e.size + 1, e.size * 1.2)) },
  { group: "Tools", shown: "1 – 9", keys: "123456789".split(""), says: "Phase to paint", run: (e, key) => e.project.phases[key - 1] && e.setPhase(e.project.phases[key - 1].id) },
  { group: "Tools", keys: ["0"], says: "Paint “ignore”: doubtful, not to be learned", run: (e) => e.setPhase(e.project.ignore.id) },
  { group: "Tools", keys: ["t"], says: "Which phase Replace repaints: the one under the pointer, or always the same", run: (e) => e.nextReplaced() },
  { group: "Tools", keys: ["w"], says: "Wider superpixels", run: (e) => e.setGrain(value("grain") + 2) },
  { group: "Tools", keys: ["shift+w"], says: "Narrower superpixels", run: (e) => e.setGrain(value("grain") - 2) },
  { group: "Tools", shown: "Shift + click", keys: [], says: "Straight line from the last stroke" },
  { group: "Tools", shown: "Alt + click", keys: [], says: "Pick the phase under the pointer" },
  { group: "Tools", id: "spread", keys: ["a"], says: "Spread your strokes: the whole image follows what you painted", run: (e) => e.spread() },
  { group: "Tools", id: "undo", shown: "Ctrl + Z", keys: ["ctrl+z", "z"], says: "Undo, without limit", run: (e) => e.undo() },
  { group: "Tools", id: "redo", shown: "Ctrl + Y", keys: ["ctrl+y", "ctrl+shift+z", "y"], says: "Redo", run: (e) => e.redo() },
  { group: "View", keys: ["+", "="], says: "Zoom in (or wheel, or two fingers)", run: (e) => e.view.zoomTo(e.view.scale * 1.5) },
  { group: "View", keys: ["-"], says: "Zoom out", run: (e) => e.view.zoomTo(e.view.scale / 1.5) },
  { group: "View", keys: ["Home"], says: "Whole image", run: (e) => e.view.fit() },
  { group: "View", keys: ["End"], says: "One image pixel a screen pixel", run: (e) => e.view.zoomTo(1) },
  { group: "View", shown: "Arrows", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], says: "Move (or Space + drag, middle or right button)", run: (e, key) => e.view.pan(...{ ArrowLeft: [120, 0], ArrowRight: [-120, 0], ArrowUp: [0, 120], ArrowDown: [0, -120] }[key]) },
  { group: "View", keys: ["o"], says: "Outlines only", run: (e) => { $("outlines").checked = !$("outlines").checked; e.view.setOutlines($("outlines").checked); } },
  { group: "View", keys: ["v"], says: "Hide the labels while held", run: (e) => (e.view.canvases.labels.canvas.style.opacity = 0) },
  { group: "View", keys: ["{"], says: "Labels more transparent", run: (e) => e.setOpacity(value("opacity") - 0.1) },
  { group: "View", keys: ["}"], says: "Labels more opaque", run: (e) => e.setOpacity(value("opacity") + 0.1) },
  { group: "View", keys: ["h"], says: "Uncertainty as a heat map", run: (e) => e.setHeat(!$("heat").checked) },
  { group: "View", id: "next-region", keys: ["n"], says: "Next uncertain place", run: (e) => e.nextRegion(1) },
  { group: "View", keys: ["shift+n"], says: "Previous uncertain place", run: (e) => e.nextRegion(-1) },
  { group: "View", keys: ["c"], says: "More contrast", run: (e) => e.setTone("contrast", value("contrast") * 1.15) },
  { group: "View", keys: ["shift+c"], says: "Less contrast", run: (e) => e.setTone("contrast", value("contrast") / 1.15) },
  { group: "View", keys: ["l"], says: "Brighter", run: (e) => e.setTone("brightness", value("brightness") + 0.04) },
  { group: "View", keys: ["shift+l"], says: "Darker", run: (e) => e.setTone("brightness", value("brightness") - 0.04) },
  { group: "View", keys: ["g"], says: "More gamma", run: (e) => e.setTone("gamma", value("gamma") * 1.15) },
  { group: "View", keys: ["shift+g"], says: "Less gamma", run: (e) => e.setTone("gamma", value("gamma") / 1.15) },
  { group: "View", id: "reset-tone", keys: ["Backspace"], says: "Reset grey levels, contrast, brightness, gamma", run: (e) => e.resetTone() },
  { group: "Image", id: "save", keys: ["ctrl+s"], says: "Save now (every stroke is saved anyway)", run: (e) => e.save() },
  { group: "Image", id: "accept", keys: ["Enter"], says: "Accept this mask, open the next image", run: (e) => e.decide("accept") },
  { group: "Image", id: "skip", keys: ["k"], says: "Skip: doubtful, later", run: (e) => e.decide("skip") },
  { group: "Image", id: "reject", keys: ["x"], says: "Reject: the image is of no use", run: (e) => confirm("Reject this image? It will not be learned from.") && e.decide("reject") },
  { group: "Image", id: "next", keys: ["."], says: "Next image, decide later", run: (e) => e.next(1) },
  { group: "Image", keys: [","], says: "Previous image", run: (e) => e.next(-1) },
  { group: "Image", keys: ["?"], says: "This page", run: () => $("help").showModal() },
];

const byKey = new Map(commands.flatMap((command) => command.keys.map((key) => [key, command])));

function nameOf(event) {
  const letter = event.key.length === 1 && /[a-z]/i.test(event.key);
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("ctrl");
  if (event.shiftKey && letter) parts.push("shift");
  parts.push(letter ? event.key.toLowerCase() : event.key);
  return parts.join("+");
}

export function onKey(event, editor) {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select");
  if (typing || event.altKey || $("help").open) return;
  const hand = editor.hand;
  const key = nameOf(event);
  // A polygon in the making has the first word.
  if (hand.corners.length && ["Enter", "Backspace", "Escape"].includes(key)) {
    if (key === "Enter") hand.closePolygon();
    else if (key === "Backspace") hand.corners.pop();
    else hand.corners = [];
    editor.view.cursor();
    event.preventDefault();
    return;
  }
  if (key === "Enter" && event.target.matches("button, a")) return;
  if (key.startsWith("Arrow") && event.target.matches("input[type=range]")) return;
  const command = byKey.get(key);
  if (!command || (!editor.labels && command.group !== "Image")) return;
  event.preventDefault();
  command.run(editor, event.key);
}

const NAMES = { Home: "Home", End: "End", Backspace: "Backspace", Enter: "Enter" };

function shown(command) {
  if (command.shown) return command.shown;
  return command.keys
    .map((key) => key.split("+").filter(Boolean).map((part) => NAMES[part] || part[0].toUpperCase() + part.slice(1)).join(" + ") || "+")
    .join(" / ");
}

export function helpHtml() {
  const groups = [...new Set(commands.map((command) => command.group))];
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const section = (group) =>
    `<section><h2>${group}</h2><dl>${commands
      .filter((command) => command.group === group)
      .map((command) => `<dt><kbd>${escape(shown(command))}</kbd></dt><dd>${escape(command.says)}</dd>`)
      .join("")}</dl></section>`;
  return `<div class="columns">${groups.map(section).join("")}</div><form method="dialog"><button>Close</button></form>`;
}
