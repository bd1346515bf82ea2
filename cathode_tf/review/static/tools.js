// What the pointer does: each tool gets places on the image and paints into the label layer.

import { snap } from "./labels.js";

const ICONS = {
  brush: '<path d="M14.5 4.5l5 5L10 19c-1.5 1.5-5 1.5-6 1 .8-.6 1-2 1.3-3.300.3-1 .8-1.600 1.200-2.200z"/>',
  eraser: '<path d="M4 15l8.500-9.500 7 6L13 19H8zM9 10l7 6M13 19h8"/>',
  polygon: '<path d="M5 18L4 8l8-5 8 7-4 9z"/><circle cx="4" cy="8" r="1"/><circle cx="12" cy="3" r="1"/><circle cx="20" cy="10" r="1"/>',
  fill: '<path d="M5 12l7-8 7 7-8 8zM5 12h13M20 15c1.500 2 1.500 3.500 0 4-1.500-.5-1.500-2 0-4z"/>',
  pick: '<path d="M13 7l4 4M15 5c1-1.500 3-2 4-1s.5 3-1 4l-2 2-3-3zM14 8l-8 8-1.500 4L8.500 18l8-8"/>',
  replace: '<path d="M4 9h13l-3-3M20 15H7l3 3"/>',
  superpixel: '<path d="M4 8l5-4 6 2 5 5-2 6-6 3-7-3zM9 4l2 6M11 10l-7-2M11 10l5 3 4-2M16 13l-4 7M11 10l-4 7"/>',
};

export const TOOLS = [
  { id: "brush", key: "b", label: "Brush", says: "paint the phase" },
  { id: "eraser", key: "e", label: "Eraser", says: "back to how it was opened" },
  { id: "polygon", key: "p", label: "Polygon", says: "click corners; Enter or a double click closes, Backspace takes one back, Esc drops it" },
  { id: "fill", key: "f", label: "Fill", says: "fill the connected region" },
  { id: "pick", key: "i", label: "Pick", says: "take the phase under the pointer (or hold Alt)" },
  { id: "replace", key: "r", label: "Replace", says: "repaint one phase only, inside the stroke" },
  { id: "superpixel", key: "s", label: "Superpixels", says: "paint whole superpixels under the brush" },
].map((tool) => ({ ...tool, icon: `<svg viewBox="0 0 24 24">${ICONS[tool.id]}</svg>` }));

// editor: { labels, view, phase, size, replace (id or -1: the one under the pointer), superpixels, setPhase, note }
export class Hand {
  constructor(editor) {
    this.editor = editor;
    this.tool = "brush";
    this.corners = [];
    this.last = null;
    this.at = null;
    this.before = null; // what was there when the pointer came down
  }

  get busy() {
    return this.last !== null;
  }

  get paints() {
    return ["brush", "eraser", "replace", "superpixel"].includes(this.tool);
  }

  choose(tool) {
    this.cancel();
    this.tool = tool;
  }

  cancel() {
    if (this.last) this.up();
    this.corners = [];
  }

  // A second finger came: what the first began was meant to move the image.
  drop() {
    if (!this.before) return;
    const { labels } = this.editor;
    if (this.last) this.up();
    while (labels.done.length > this.before.strokes) labels.undo();
    this.corners.length = this.before.corners;
  }

  down(place, pick) {
    const { editor } = this;
    const { labels } = editor;
    this.before = { strokes: labels.done.length, corners: this.corners.length };
    const [row, column] = place.map(Math.floor);
    const inside = labels.inside(row, column);
    if (pick || this.tool === "pick") {
      if (inside) editor.setPhase(labels.at(row, column));
      return;
    }
    if (this.tool === "polygon") {
      this.corners.push(place);
      return;
    }
    if (this.tool === "fill") {
      if (!inside) return;
      labels.begin();
      labels.fill(row, column, editor.phase);
      labels.end();
      return;
    }
    this.only = -1;
    if (this.tool === "replace") this.only = editor.replace >= 0 ? editor.replace : inside ? labels.at(row, column) : -2;
    labels.begin(this.tool === "eraser");
    this.last = snap(...place, editor.size);
    this._paint(this.last, this.last, place);
  }

  // Straight on from the last stroke's end, as in other paint programs.
  line(place) {
    if (!this.paints || !this.end) return this.down(place);
    this.editor.labels.begin(this.tool === "eraser");
    this.last = this.end;
    if (this.tool !== "replace") this.only = -1;
    this.move(place);
  }

  move(place) {
    this.at = place;
    if (!this.last) return;
    const next = snap(...place, this.editor.size);
    this._paint(this.last, next, place);
    this.last = next;
  }

  up() {
    this.end = this.last;
    this.last = null;
    this.editor.labels.end();
  }

  _paint(from, to, place) {
    const { labels, size, phase, superpixels } = this.editor;
    if (this.only === -2) return;
    if (this.tool === "superpixel") superpixels.paint(labels, place, size, phase);
    else labels.capsule(...from, ...to, size, this.tool === "eraser" ? -1 : phase, this.only);
  }

  closePolygon() {
    const { labels, phase } = this.editor;
    if (this.corners.length < 3) return false;
    labels.begin();
    labels.polygon(this.corners, phase);
    labels.end();
    this.corners = [];
    return true;
  }

  // The brush as it will paint, the polygon so far.
  draw(context) {
    const { view, labels, size, color } = this.editor;
    if (!this.at || !labels) return;
    const [row, column] = this.at.map(Math.floor);
    context.lineWidth = 1;
    if (this.corners.length) this._drawPolygon(context, view, color);
    const [y, x] = view.toScreen(...this.at);
    if (this.paints) {
      const [cy, cx] = snap(...this.at, size);
      const [top, left] = view.toScreen(cy + 0.5, cx + 0.5);
      ring(context, left, top, Math.max(2, (size / 2) * view.scale), color);
      if (size * view.scale < 12) cross(context, x, y, 9);
    } else cross(context, x, y, 11);
    if (this.tool === "superpixel") this.editor.superpixels.draw(context, view, row, column, color);
  }

  _drawPolygon(context, view, color) {
    const points = [...this.corners, this.at].map(([y, x]) => view.toScreen(y, x));
    for (const [style, width] of [["#000c", 3], [color, 1.5]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      points.forEach(([y, x], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      context.stroke();
    }
    context.fillStyle = "#fff";
    for (const [y, x] of points.slice(0, -1)) context.fillRect(x - 2.5, y - 2.5, 5, 5);
  }
}

function ring(context, x, y, radius, color) {
  for (const [style, width] of [["#000c", 4.5], ["#fff", 3], [color, 1.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

function cross(context, x, y, reach) {
  for (const [style, width] of [["#000c", 3], ["#fff", 1]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 3 * dx, y + 3 * dy);
      context.lineTo(x + reach * dx, y + reach * dy);
    }
    context.stroke();
  }
}

// Two fingers on a touch screen: they move and zoom the image and paint nothing, until both are lifted.
export class Fingers {
  constructor(view) {
    this.view = view;
    this.places = new Map();
    this.moving = false;
  }

  // Whether this finger joins another.
  down(event) {
    if (event.pointerType !== "touch") return false;
    this.places.set(event.pointerId, this.view.onScreen(event));
    this.moving = this.places.size > 1;
    return this.moving;
  }

  // Whether the movement was one of several fingers.
  move(event) {
    if (!this.moving || !this.places.has(event.pointerId)) return this.moving;
    const [from, reach] = this._middle();
    this.places.set(event.pointerId, this.view.onScreen(event));
    const [to, wider] = this._middle();
    this.view.pan(to[1] - from[1], to[0] - from[0]);
    if (reach && this.places.size > 1) this.view.zoomBy(wider / reach, to);
    return true;
  }

  up(event) {
    this.places.delete(event.pointerId);
    if (!this.places.size) this.moving = false;
  }

  // Their centre [y, x] and how far they are apart.
  _middle() {
    const [a, b = a] = this.places.values();
    return [[(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], Math.hypot(a[0] - b[0], a[1] - b[1])];
  }
}
