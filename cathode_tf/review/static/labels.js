// The label layer: one byte a pixel, all that is painted logged as runs, undone and redone without limit.
// Nothing here knows about screens; coordinates are whole pixels, (row, column).

import { Stroke } from "./runs.js";

export class Labels {
  // base: the mask the person began with; the eraser goes back to it.
  constructor(width, height, base) {
    this.width = width;
    this.height = height;
    this.base = base;
    this.data = base.slice();
    this.painted = new Uint8Array(base.length); // 1 where a hand painted, what was there already included
    this.done = [];
    this.undone = [];
    this.current = null;
    this.onchange = () => {}; // (top, left, bottom, right): pixels to redraw, ends exclusive
    this.onstroke = () => {}; // (stroke, kind): to be kept
  }

  at(row, column) {
    return this.data[row * this.width + column];
  }

  inside(row, column) {
    return row >= 0 && column >= 0 && row < this.height && column < this.width;
  }

  // auto: what comes was chosen by no hand, and takes away the paint that it goes over.
  begin(auto = false) {
    if (!this.current) this.current = new Stroke(64, auto);
  }

  end() {
    const stroke = this.current;
    this.current = null;
    if (!stroke || !stroke.count) return;
    this.done.push(stroke.trim());
    this.undone = [];
    this.onstroke(stroke, stroke.auto ? "auto" : "do");
  }

  // Paint columns [from, to) of a row. value < 0 paints the base; only >= 0 spares all other labels.
  span(row, from, to, value, only = -1) {
    from = Math.max(0, from);
    to = Math.min(this.width, to);
    if (row < 0 || row >= this.height || from >= to) return;
    const { data, base, painted, current } = this;
    const paint = current.auto ? 0 : 1;
    const end = row * this.width + to;
    for (let i = row * this.width + from; i < end; ) {
      const old = data[i];
      const wanted = value < 0 ? base[i] : value;
      const before = painted[i];
      let j = i + 1;
      while (j < end && data[j] === old && painted[j] === before && (value >= 0 || base[j] === wanted)) j++;
      if ((old !== wanted || before !== paint) && (only < 0 || old === only)) {
        data.fill(wanted, i, j);
        painted.fill(paint, i, j);
        current.add(i, j - i, old, wanted);
      }
      i = j;
    }
  }

  // All pixels whose centre is within size / 2 of the way from (y0, x0) to (y1, x1).
  // Ways lead between centres of pixels (odd sizes) or their corners (even sizes): see snap().
  capsule(y0, x0, y1, x1, size, value, only = -1) {
    const r = size / 2 + 1e-6;
    const top = Math.ceil(Math.min(y0, y1) - r);
    const bottom = Math.floor(Math.max(y0, y1) + r);
    const length = Math.hypot(y1 - y0, x1 - x0);
    const ny = length ? (r * (x1 - x0)) / length : 0;
    const nx = length ? (-r * (y1 - y0)) / length : 0;
    const corners = [
      [y0 + ny, x0 + nx],
      [y1 + ny, x1 + nx],
      [y1 - ny, x1 - nx],
      [y0 - ny, x0 - nx],
    ];
    for (let y = Math.max(0, top); y <= Math.min(this.height - 1, bottom); y++) {
      let left = Infinity;
      let right = -Infinity;
      for (const [cy, cx] of [[y0, x0], [y1, x1]]) {
        const reach = r * r - (y - cy) * (y - cy);
        if (reach < 0) continue;
        const half = Math.sqrt(reach);
        left = Math.min(left, cx - half);
        right = Math.max(right, cx + half);
      }
      for (let k = 0; length && k < 4; k++) {
        const [ay, ax] = corners[k];
        const [by, bx] = corners[(k + 1) % 4];
        if (ay === by || y < Math.min(ay, by) || y > Math.max(ay, by)) continue;
        const x = ax + ((y - ay) / (by - ay)) * (bx - ax);
        left = Math.min(left, x);
        right = Math.max(right, x);
      }
      if (left <= right) this.span(y, Math.ceil(left), Math.floor(right) + 1, value, only);
    }
    const least = Math.floor(Math.min(x0, x1) - r);
    this.onchange(top, least, bottom + 1, Math.ceil(Math.max(x0, x1) + r) + 1);
  }

  // Pixels whose centre lies within the polygon (even-odd rule); points are [y, x] with pixel edges at integers.
  polygon(points, value, only = -1) {
    const ys = points.map((p) => p[0]);
    const xs = points.map((p) => p[1]);
    const top = Math.max(0, Math.floor(Math.min(...ys)));
    const bottom = Math.min(this.height, Math.ceil(Math.max(...ys)));
    for (let row = top; row < bottom; row++) {
      const y = row + 0.5;
      const crossings = [];
      for (let i = 0; i < points.length; i++) {
        const [ay, ax] = points[i];
        const [by, bx] = points[(i + 1) % points.length];
        if (ay <= y !== by <= y) crossings.push(ax + ((y - ay) / (by - ay)) * (bx - ax));
      }
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2)
        this.span(row, Math.ceil(crossings[i] - 0.5), Math.ceil(crossings[i + 1] - 0.5), value, only);
    }
    this.onchange(top, Math.floor(Math.min(...xs)), bottom, Math.ceil(Math.max(...xs)));
  }

  // The connected region (4 neighbours) of equal label around a pixel.
  fill(row, column, value) {
    const { data, width, height } = this;
    const old = data[row * width + column];
    if (old === value) return;
    let top = row, bottom = row, least = column, most = column;
    const stack = [row, column];
    while (stack.length) {
      const x = stack.pop();
      const y = stack.pop();
      const start = y * width;
      if (data[start + x] !== old) continue;
      let from = x;
      let to = x + 1;
      while (from > 0 && data[start + from - 1] === old) from--;
      while (to < width && data[start + to] === old) to++;
      this.span(y, from, to, value);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      least = Math.min(least, from);
      most = Math.max(most, to);
      for (const next of [y - 1, y + 1]) {
        if (next < 0 || next >= height) continue;
        const line = next * width;
        for (let i = from; i < to; i++)
          if (data[line + i] === old && (i === from || data[line + i - 1] !== old)) stack.push(next, i);
      }
    }
    this.onchange(top, least, bottom + 1, most);
  }

  // Any set of pixels of one rectangle: inside(row, column) says which.
  region(top, left, bottom, right, inside, value, only = -1) {
    for (let row = top; row < bottom; row++) {
      for (let x = left; x < right; ) {
        if (!inside(row, x)) {
          x++;
          continue;
        }
        let end = x + 1;
        while (end < right && inside(row, end)) end++;
        this.span(row, x, end, value, only);
        x = end;
      }
    }
    this.onchange(top, left, bottom, right);
  }

  // What a hand painted; steps from number `since` on count whole.
  _kept(since) {
    const kept = this.painted.slice();
    for (const stroke of this.done.slice(since)) stroke.fill(kept, 1);
    return kept;
  }

  // How many pixels `spread` would change.
  wouldSpread(mask, since) {
    const kept = this._kept(since);
    let count = 0;
    for (let i = 0; i < mask.length; i++) if (!kept[i] && mask[i] !== this.data[i]) count++;
    return count;
  }

  // Another mask wherever no hand painted, as one step; steps from number `since` on keep their pixels too.
  // Gives how many pixels changed.
  spread(mask, since) {
    const { width, height } = this;
    const kept = this._kept(since);
    this.begin(true);
    for (let row = 0, start = 0; row < height; row++, start += width)
      for (let x = 0; x < width; ) {
        const value = mask[start + x];
        const keep = kept[start + x];
        let end = x + 1;
        while (end < width && mask[start + end] === value && kept[start + end] === keep) end++;
        if (!keep) this.span(row, x, end, value);
        x = end;
      }
    const { lengths, count } = this.current;
    this.end();
    this.onchange(0, 0, height, width);
    return lengths.subarray(0, count).reduce((sum, length) => sum + length, 0);
  }

  // What was painted by hand follows from the steps that stand; Draft.painted() has the same rule.
  _repaint() {
    this.painted.fill(0);
    for (const stroke of this.done) stroke.fill(this.painted, stroke.auto ? 0 : 1);
  }

  undo() {
    this.end();
    const stroke = this.done.pop();
    if (!stroke) return false;
    const back = stroke.reversed();
    this._apply(back);
    this.undone.push(stroke);
    this._repaint();
    this.onstroke(back, "undo");
    return true;
  }

  redo() {
    const stroke = this.undone.pop();
    if (!stroke) return false;
    this._apply(stroke);
    this.done.push(stroke);
    stroke.fill(this.painted, stroke.auto ? 0 : 1);
    this.onstroke(stroke, "redo");
    return true;
  }

  // Strokes of a draft, with the undo history that they had.
  replay(strokes) {
    for (const { kind, stroke } of strokes) {
      this._apply(stroke, false);
      if (kind === "do" || kind === "auto") {
        this.done.push(stroke);
        this.undone = [];
      } else if (kind === "undo") this.undone.push(this.done.pop());
      else this.done.push(this.undone.pop());
    }
    this._repaint();
  }

  _apply(stroke, show = true) {
    const { data, width } = this;
    let top = this.height, bottom = 0, least = width, most = 0;
    for (let i = 0; i < stroke.count; i++) {
      const start = stroke.starts[i];
      const length = stroke.lengths[i];
      data.fill(stroke.new[i], start, start + length);
      const row = (start / width) | 0;
      const column = start - row * width;
      top = Math.min(top, row);
      bottom = Math.max(bottom, row + 1);
      least = Math.min(least, column);
      most = Math.max(most, column + length);
    }
    if (show && stroke.count) this.onchange(top, least, bottom, most);
  }
}

// Where a brush of this size sits for a pointer at (y, x), pixel edges at integers:
// the result counts from pixel centres, so that a brush of size 1 covers the pixel under the pointer.
export function snap(y, x, size) {
  if (size % 2) return [Math.floor(y), Math.floor(x)];
  return [Math.round(y) - 0.5, Math.round(x) - 0.5];
}
