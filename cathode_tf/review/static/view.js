// The screen: grey image, labels, heat map and cursor on four stacked canvases; pan and zoom.
// Only what changed is drawn again, so a stroke costs what the brush covers, not what the image holds.

const TILE = 512;

// Tiles of canvas made from typed arrays when they are first looked at.
class TileLayer {
  // paint(pixels: Uint32Array, top, left, width, height): RGBA of that rectangle
  constructor(width, height, paint) {
    Object.assign(this, { width, height, paint, tiles: new Map() });
  }

  clear() {
    this.tiles.clear();
  }

  tile(row, column) {
    const key = row * 65536 + column;
    let canvas = this.tiles.get(key);
    if (!canvas) {
      canvas = document.createElement("canvas");
      canvas.width = Math.min(TILE, this.width - column * TILE);
      canvas.height = Math.min(TILE, this.height - row * TILE);
      this.tiles.set(key, canvas);
      this._paint(canvas, row, column, 0, 0, canvas.height, canvas.width);
    }
    return canvas;
  }

  _paint(canvas, row, column, top, left, bottom, right) {
    const image = new ImageData(right - left, bottom - top);
    const pixels = new Uint32Array(image.data.buffer);
    this.paint(pixels, row * TILE + top, column * TILE + left, right - left, bottom - top);
    canvas.getContext("2d").putImageData(image, left, top);
  }

  update(top, left, bottom, right) {
    for (let row = Math.floor(top / TILE); row * TILE < bottom; row++)
      for (let column = Math.floor(left / TILE); column * TILE < right; column++) {
        const canvas = this.tiles.get(row * 65536 + column);
        if (!canvas) continue;
        const y = Math.max(0, top - row * TILE);
        const x = Math.max(0, left - column * TILE);
        const yEnd = Math.min(canvas.height, bottom - row * TILE);
        const xEnd = Math.min(canvas.width, right - column * TILE);
        this._paint(canvas, row, column, y, x, yEnd, xEnd);
      }
  }

  // Draw the rectangle [top, bottom) x [left, right) of this layer, scaled, at an offset.
  draw(context, scale, offsetX, offsetY, top, left, bottom, right) {
    for (let row = Math.floor(top / TILE); row * TILE < bottom; row++)
      for (let column = Math.floor(left / TILE); column * TILE < right; column++) {
        const canvas = this.tile(row, column);
        // Edges are rounded alike on both sides of a seam: neither gap nor overlap.
        const x = Math.round(offsetX + column * TILE * scale);
        const y = Math.round(offsetY + row * TILE * scale);
        const xEnd = Math.round(offsetX + (column * TILE + canvas.width) * scale);
        const yEnd = Math.round(offsetY + (row * TILE + canvas.height) * scale);
        context.drawImage(canvas, x, y, xEnd - x, yEnd - y);
      }
  }
}

export class View {
  constructor(host) {
    this.host = host;
    this.canvases = {};
    for (const name of ["image", "labels", "heat", "cursor"]) {
      const canvas = document.createElement("canvas");
      canvas.className = `layer ${name}`;
      host.append(canvas);
      this.canvases[name] = canvas.getContext("2d", { alpha: name !== "image" });
    }
    this.scale = 1;
    this.x = 0; // screen position of the image's corner, device pixels
    this.y = 0;
    this.tone = { contrast: 1, brightness: 0, gamma: 1 };
    this.outlines = false;
    this.heat = false;
    this.drawCursor = () => {};
    this.onview = () => {};
    this.pending = { image: null, labels: null, heat: null };
    new ResizeObserver(() => this._resize()).observe(host);
    this._resize();
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  _resize() {
    const width = Math.max(1, Math.round(this.host.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.host.clientHeight * this.ratio));
    const first = !this.width;
    for (const context of Object.values(this.canvases)) {
      context.canvas.width = width;
      context.canvas.height = height;
    }
    this.width = width;
    this.height = height;
    if (this.labels && !first) this.redraw();
  }

  // labels: a Labels; levels: from pyramid(); colors: Uint32Array(256) of RGBA; uncertainty: Uint8Array or null
  open(labels, levels, colors, uncertainty) {
    Object.assign(this, { labels, colors, painted: colors.map(lighter) });
    const { width, height } = labels;
    this._take(levels);
    this.labelLayer = new TileLayer(width, height, (...where) => this._paintLabels(...where));
    this.setUncertainty(uncertainty);
    labels.onchange = (...box) => this.changed(...box);
    this._tone();
    this.fit();
  }

  // Other grey bytes of the same image.
  setGrey(levels) {
    this._take(levels);
    this._ask("image");
  }

  _take(levels) {
    const { width } = this.labels;
    this.levels = levels.map((level) => {
      const layer = new TileLayer(level.width, level.height, (pixels, top, left, w, h) => {
        const table = this.table;
        for (let y = 0, i = 0; y < h; y++) {
          const start = (top + y) * level.width + left;
          for (let x = 0; x < w; x++) pixels[i++] = table[level.data[start + x]];
        }
      });
      layer.scale = width / level.width;
      return layer;
    });
  }

  setUncertainty(uncertainty) {
    const { width, height } = this.labels;
    this.heatLayer = uncertainty
      ? new TileLayer(width, height, (pixels, top, left, w, h) => {
          for (let y = 0, i = 0; y < h; y++)
            for (let x = 0; x < w; x++) pixels[i++] = HEAT[uncertainty[(top + y) * width + left + x]];
        })
      : null;
    this._ask("heat");
  }

  _paintLabels(pixels, top, left, w, h) {
    const { data, painted, width, height } = this.labels;
    const { colors, outlines } = this;
    for (let y = 0, i = 0; y < h; y++) {
      const row = top + y;
      const start = row * width + left;
      for (let x = 0; x < w; x++, i++) {
        const at = start + x;
        const value = data[at];
        if (outlines) {
          const column = left + x;
          const edge =
            (column && data[at - 1] !== value) || (column + 1 < width && data[at + 1] !== value) ||
            (row && data[at - width] !== value) || (row + 1 < height && data[at + width] !== value);
          pixels[i] = edge ? colors[value] : 0;
        } else pixels[i] = painted[at] ? this.painted[value] : colors[value];
      }
    }
  }

  _tone() {
    const { contrast, brightness, gamma } = this.tone;
    this.table = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const stretched = Math.min(1, Math.max(0, (i / 255 - 0.5) * contrast + 0.5 + brightness));
      const grey = Math.round(255 * Math.pow(stretched, 1 / gamma));
      this.table[i] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
    }
  }

  setTone(tone) {
    Object.assign(this.tone, tone);
    this._tone();
    for (const level of this.levels || []) level.clear();
    this._ask("image");
  }

  setOutlines(on) {
    this.outlines = on;
    this.labelLayer?.clear();
    this._ask("labels");
    this.setOpacity(this.opacity);
  }

  setHeat(on) {
    this.heat = on;
    this._ask("heat");
  }

  // Outlines hide little, so they are drawn full.
  setOpacity(opacity) {
    this.opacity = opacity;
    this.canvases.labels.canvas.style.opacity = this.outlines && opacity > 0 ? 1 : opacity;
  }

  // Labels changed within this box: redraw just that, with the next frame.
  changed(top, left, bottom, right) {
    const margin = this.outlines ? 1 : 0;
    top = Math.max(0, top - margin);
    left = Math.max(0, left - margin);
    bottom = Math.min(this.labels.height, bottom + margin);
    right = Math.min(this.labels.width, right + margin);
    if (top >= bottom || left >= right) return;
    this._ask("labels", [top, left, bottom, right]);
  }

  redraw() {
    for (const name of ["image", "labels", "heat"]) this._ask(name);
    this.cursor();
    this.onview();
  }

  _ask(name, box = "all") {
    const before = this.pending[name];
    if (box === "all" || before === "all") this.pending[name] = "all";
    else if (!before) this.pending[name] = box;
    else
      this.pending[name] = [
        Math.min(before[0], box[0]), Math.min(before[1], box[1]),
        Math.max(before[2], box[2]), Math.max(before[3], box[3]),
      ];
    if (box !== "all") this.dirty = joined(this.dirty, box);
    if (!this.asked) this.asked = requestAnimationFrame(() => this._frame());
  }

  cursor() {
    if (!this.asked) this.asked = requestAnimationFrame(() => this._frame());
    this.cursorAsked = true;
  }

  _frame() {
    this.asked = 0;
    if (!this.labels) return;
    const pending = this.pending;
    this.pending = { image: null, labels: null, heat: null };
    if (this.dirty) this.labelLayer.update(...this.dirty);
    this.dirty = null;
    if (pending.image) this._draw("image", this._level(), "all");
    if (pending.labels) this._draw("labels", this.labelLayer, pending.labels);
    if (pending.heat) this._draw("heat", this.heat ? this.heatLayer : null, "all");
    const context = this.canvases.cursor;
    if (this.cursorAsked) {
      context.clearRect(0, 0, this.width, this.height);
      this.drawCursor(context);
      this.cursorAsked = false;
    }
    this.onframe?.();
  }

  // The coarsest level that is still finer than the screen.
  _level() {
    let best = this.levels[0];
    for (const level of this.levels) if (level.scale * this.scale <= 1) best = level;
    return best;
  }

  _draw(name, layer, box) {
    const context = this.canvases[name];
    const { width, height } = this.labels;
    // The part of the image that is on the screen, and of that what has changed.
    let top = Math.max(0, Math.floor(-this.y / this.scale));
    let left = Math.max(0, Math.floor(-this.x / this.scale));
    let bottom = Math.min(height, Math.ceil((this.height - this.y) / this.scale));
    let right = Math.min(width, Math.ceil((this.width - this.x) / this.scale));
    context.save();
    if (box === "all") {
      if (name === "image") {
        context.fillStyle = "#14171a";
        context.fillRect(0, 0, this.width, this.height);
      } else context.clearRect(0, 0, this.width, this.height);
    } else {
      top = Math.max(top, box[0]);
      left = Math.max(left, box[1]);
      bottom = Math.min(bottom, box[2]);
      right = Math.min(right, box[3]);
      const x = Math.floor(this.x + left * this.scale) - 1;
      const y = Math.floor(this.y + top * this.scale) - 1;
      const xEnd = Math.ceil(this.x + right * this.scale) + 1;
      const yEnd = Math.ceil(this.y + bottom * this.scale) + 1;
      context.beginPath();
      context.rect(x, y, xEnd - x, yEnd - y);
      context.clip();
      context.clearRect(x, y, xEnd - x, yEnd - y);
      // Neighbours within the cleared rim are drawn again too.
      const rim = Math.ceil(1 / this.scale) + 1;
      top = Math.max(0, top - rim);
      left = Math.max(0, left - rim);
      bottom = Math.min(height, bottom + rim);
      right = Math.min(width, right + rim);
    }
    if (layer && top < bottom && left < right) {
      const factor = layer.scale || 1;
      const scale = this.scale * factor;
      context.imageSmoothingEnabled = name === "image" && scale < 1;
      const end = (value, limit) => Math.min(limit, Math.ceil(value / factor));
      layer.draw(
        context, scale, this.x, this.y, Math.floor(top / factor), Math.floor(left / factor),
        end(bottom, layer.height), end(right, layer.width),
      );
    }
    context.restore();
  }

  // Device pixels [y, x] of the stage under a pointer event.
  onScreen(event) {
    const box = this.host.getBoundingClientRect();
    return [(event.clientY - box.top) * this.ratio, (event.clientX - box.left) * this.ratio];
  }

  // Image coordinates [y, x] under a pointer event; pixel edges are at integers.
  locate(event) {
    const [y, x] = this.onScreen(event);
    return [(y - this.y) / this.scale, (x - this.x) / this.scale];
  }

  toScreen(y, x) {
    return [this.y + y * this.scale, this.x + x * this.scale];
  }

  fit() {
    const { width, height } = this.labels;
    this.scale = 0.98 * Math.min(this.width / width, this.height / height);
    if (this.scale > 1) this.scale = Math.floor(4 * this.scale) / 4;
    this.centre(height / 2, width / 2);
  }

  centre(y, x) {
    this.x = Math.round(this.width / 2 - x * this.scale);
    this.y = Math.round(this.height / 2 - y * this.scale);
    this._keep();
    this.redraw();
  }

  // From 1 on, whole screen pixels a pixel: every pixel is a square of equal size.
  zoomTo(scale, at = [this.height / 2, this.width / 2]) {
    scale = this._limited(scale);
    if (scale > 1) scale = scale > this.scale ? Math.ceil(scale - 1e-6) : Math.floor(scale + 1e-6);
    this._scaleTo(scale, at);
  }

  // Small movements of a trackpad or two fingers: what lies between two steps of the scale adds up.
  zoomBy(factor, at) {
    if (this.reached !== this.scale) this.wanted = this.scale;
    this.wanted = this._limited(this.wanted * factor);
    const scale = this.wanted > 1 ? Math.round(this.wanted) : this.wanted;
    if ((scale - this.scale) * (factor - 1) > 0) this._scaleTo(scale, at);
    this.reached = this.scale;
  }

  _limited(scale) {
    const least = Math.min(1, 0.5 * Math.min(this.width / this.labels.width, this.height / this.labels.height));
    return Math.min(64, Math.max(least, scale));
  }

  _scaleTo(scale, at) {
    const y = (at[0] - this.y) / this.scale;
    const x = (at[1] - this.x) / this.scale;
    this.scale = scale;
    this.x = Math.round(at[1] - x * scale);
    this.y = Math.round(at[0] - y * scale);
    this._keep();
    this.redraw();
  }

  pan(dx, dy) {
    this.x = Math.round(this.x + dx);
    this.y = Math.round(this.y + dy);
    this._keep();
    this.redraw();
  }

  // Some of the image always stays in sight.
  _keep() {
    const margin = 80;
    const { width, height } = this.labels;
    this.x = Math.min(this.width - margin, Math.max(margin - width * this.scale, this.x));
    this.y = Math.min(this.height - margin, Math.max(margin - height * this.scale, this.y));
  }
}

// What was painted by hand stands out from what a model said.
function lighter(color) {
  const light = (shift) => Math.round(0.75 * ((color >>> shift) & 255) + 0.25 * 255) << shift;
  return color ? ((color & 0xff000000) | light(16) | light(8) | light(0)) >>> 0 : 0;
}

function joined(a, b) {
  if (!a) return b;
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

// Transparent where sure, then violet to yellow: readable in grey too.
const HEAT = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  const t = i / 255;
  const red = Math.round(255 * Math.min(1, 0.35 + 1.1 * t));
  const green = Math.round(255 * Math.max(0, 1.6 * t - 0.6));
  const blue = Math.round(255 * Math.max(0, 0.55 - 0.6 * Math.abs(t - 0.4)));
  HEAT[i] = (Math.round(235 * Math.min(1, 1.6 * t)) << 24) | (blue << 16) | (green << 8) | red;
}
