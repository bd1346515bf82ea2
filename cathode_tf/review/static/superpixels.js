// Superpixels of the tiles that are looked at, computed by the server when they are first needed.

import { bytes } from "./api.js";

const TILE = 512;

export class Superpixels {
  constructor(key, width, height, ready) {
    Object.assign(this, { key, width, height, ready, grain: 16 });
    this.tiles = new Map();
  }

  setGrain(grain) {
    if (grain !== this.grain) this.tiles.clear();
    this.grain = grain;
  }

  tile(row, column) {
    const name = `${row}/${column}/${this.grain}`;
    let tile = this.tiles.get(name);
    if (!tile) {
      tile = { labels: null };
      this.tiles.set(name, tile);
      bytes(`/api/images/${this.key}/superpixels/${name}`)
        .then((buffer) => {
          tile.width = Math.min(TILE, this.width - column * TILE);
          tile.height = Math.min(TILE, this.height - row * TILE);
          measure(tile, new Uint16Array(buffer));
          this.ready();
        })
        .catch(() => this.tiles.delete(name));
    }
    return tile.labels ? tile : null;
  }

  // Ask for all tiles of a box, so that they are there when the brush comes.
  prepare(top, left, bottom, right) {
    let missing = 0;
    for (let row = Math.max(0, Math.floor(top / TILE)); row * TILE < Math.min(bottom, this.height); row++)
      for (let column = Math.max(0, Math.floor(left / TILE)); column * TILE < Math.min(right, this.width); column++)
        if (!this.tile(row, column)) missing++;
    return missing;
  }

  // The superpixel under the pointer, and all whose centre is under the brush.
  *_under([y, x], size) {
    const r = size / 2;
    for (let row = Math.max(0, Math.floor((y - r) / TILE)); row * TILE <= Math.min(y + r, this.height - 1); row++)
      for (let column = Math.max(0, Math.floor((x - r) / TILE)); column * TILE <= Math.min(x + r, this.width - 1); column++) {
        const tile = this.tile(row, column);
        if (!tile) continue;
        const dy = Math.floor(y) - row * TILE;
        const dx = Math.floor(x) - column * TILE;
        const own = dy >= 0 && dx >= 0 && dy < tile.height && dx < tile.width ? tile.labels[dy * tile.width + dx] : -1;
        for (let id = 0; id < tile.count; id++) {
          const cy = tile.sumY[id] / tile.area[id] + row * TILE + 0.5;
          const cx = tile.sumX[id] / tile.area[id] + column * TILE + 0.5;
          if (id === own || Math.hypot(cy - y, cx - x) <= r) yield { tile, id, row, column };
        }
      }
  }

  paint(labels, place, size, phase) {
    for (const { tile, id, row, column } of this._under(place, size)) {
      const box = [tile.top[id], tile.left[id], tile.bottom[id] + 1, tile.right[id] + 1];
      const [top, left, bottom, right] = box.map((v, i) => v + (i % 2 ? column : row) * TILE);
      const inside = (y, x) => tile.labels[(y - row * TILE) * tile.width + (x - column * TILE)] === id;
      labels.region(top, left, bottom, right, inside, phase);
    }
  }

  // Outline of the superpixel under the pointer.
  draw(context, view, y, x, color) {
    if (y < 0 || x < 0 || y >= this.height || x >= this.width) return;
    const [row, column] = [Math.floor(y / TILE), Math.floor(x / TILE)];
    const tile = this.tile(row, column);
    if (!tile) return;
    const id = tile.labels[(y - row * TILE) * tile.width + (x - column * TILE)];
    const is = (r, c) => r >= 0 && c >= 0 && r < tile.height && c < tile.width && tile.labels[r * tile.width + c] === id;
    context.beginPath();
    const edge = (r0, c0, r1, c1) => {
      const [ya, xa] = view.toScreen(r0 + row * TILE, c0 + column * TILE);
      const [yb, xb] = view.toScreen(r1 + row * TILE, c1 + column * TILE);
      context.moveTo(xa, ya);
      context.lineTo(xb, yb);
    };
    for (let r = tile.top[id]; r <= tile.bottom[id]; r++)
      for (let c = tile.left[id]; c <= tile.right[id]; c++) {
        if (!is(r, c)) continue;
        if (!is(r - 1, c)) edge(r, c, r, c + 1);
        if (!is(r + 1, c)) edge(r + 1, c, r + 1, c + 1);
        if (!is(r, c - 1)) edge(r, c, r + 1, c);
        if (!is(r, c + 1)) edge(r, c + 1, r + 1, c + 1);
      }
    context.lineWidth = 3;
    context.strokeStyle = "#000a";
    context.stroke();
    context.lineWidth = 1.5;
    context.strokeStyle = color;
    context.stroke();
  }
}

function measure(tile, labels) {
  let count = 0;
  for (const id of labels) if (id >= count) count = id + 1;
  Object.assign(tile, { labels, count });
  for (const name of ["area", "sumY", "sumX", "bottom", "right"]) tile[name] = new Float64Array(count);
  tile.top = new Float64Array(count).fill(TILE);
  tile.left = new Float64Array(count).fill(TILE);
  for (let y = 0, i = 0; y < tile.height; y++)
    for (let x = 0; x < tile.width; x++, i++) {
      const id = labels[i];
      tile.area[id]++;
      tile.sumY[id] += y;
      tile.sumX[id] += x;
      if (y < tile.top[id]) tile.top[id] = y;
      if (x < tile.left[id]) tile.left[id] = x;
      if (y > tile.bottom[id]) tile.bottom[id] = y;
      if (x > tile.right[id]) tile.right[id] = x;
    }
}
