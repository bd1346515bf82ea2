// Masks and strokes on the wire; the other side of runs.py, byte for byte.

export const KINDS = ["do", "undo", "redo", "auto"];

export function encodeMask(data) {
  let count = data.length ? 1 : 0;
  for (let i = 1; i < data.length; i++) if (data[i] !== data[i - 1]) count++;
  const bytes = new Uint8Array(4 + 5 * count);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  let start = 0;
  for (let run = 0; run < count; run++) {
    let end = start + 1;
    while (end < data.length && data[end] === data[start]) end++;
    view.setUint32(4 + 4 * run, end - start, true);
    bytes[4 + 4 * count + run] = data[start];
    start = end;
  }
  return bytes;
}

export function decodeMask(buffer, pixels) {
  const view = new DataView(buffer);
  const count = view.getUint32(0, true);
  const values = new Uint8Array(buffer, 4 + 4 * count, count);
  const data = new Uint8Array(pixels);
  let at = 0;
  for (let run = 0; run < count; run++) {
    const length = view.getUint32(4 + 4 * run, true);
    data.fill(values[run], at, at + length);
    at += length;
  }
  return data;
}

// A stroke: the runs of pixels that one step changed or confirmed. Grows while the step is made.
export class Stroke {
  // auto: its values were chosen by no hand
  constructor(capacity = 64, auto = false) {
    this.auto = auto;
    this.count = 0;
    this.starts = new Uint32Array(capacity);
    this.lengths = new Uint32Array(capacity);
    this.old = new Uint8Array(capacity);
    this.new = new Uint8Array(capacity);
  }

  add(start, length, old, value) {
    if (this.count === this.starts.length) this._resize(2 * this.count);
    const i = this.count++;
    this.starts[i] = start;
    this.lengths[i] = length;
    this.old[i] = old;
    this.new[i] = value;
  }

  // The same value wherever this stroke went.
  fill(layer, value) {
    for (let i = 0; i < this.count; i++) layer.fill(value, this.starts[i], this.starts[i] + this.lengths[i]);
  }

  trim() {
    this._resize(this.count);
    return this;
  }

  _resize(capacity) {
    for (const name of ["starts", "lengths", "old", "new"]) {
      const bigger = new this[name].constructor(capacity);
      bigger.set(this[name].subarray(0, Math.min(capacity, this.count)));
      this[name] = bigger;
    }
  }

  reversed() {
    const back = new Stroke(this.count);
    back.count = this.count;
    back.starts.set(this.starts.subarray(0, this.count));
    back.lengths.set(this.lengths.subarray(0, this.count));
    back.old.set(this.new.subarray(0, this.count));
    back.new.set(this.old.subarray(0, this.count));
    return back;
  }
}

export function encodeStroke(stroke, kind) {
  const n = stroke.count;
  const bytes = new Uint8Array(5 + 10 * n);
  const view = new DataView(bytes.buffer);
  bytes[0] = KINDS.indexOf(kind);
  view.setUint32(1, n, true);
  for (let i = 0; i < n; i++) {
    view.setUint32(5 + 4 * i, stroke.starts[i], true);
    view.setUint32(5 + 4 * (n + i), stroke.lengths[i], true);
  }
  bytes.set(stroke.old.subarray(0, n), 5 + 8 * n);
  bytes.set(stroke.new.subarray(0, n), 5 + 9 * n);
  return bytes;
}

export function decodeStrokes(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const strokes = [];
  for (let at = 0; at < bytes.length; ) {
    const n = view.getUint32(at + 1, true);
    const stroke = new Stroke(n);
    stroke.count = n;
    for (let i = 0; i < n; i++) {
      stroke.starts[i] = view.getUint32(at + 5 + 4 * i, true);
      stroke.lengths[i] = view.getUint32(at + 5 + 4 * (n + i), true);
    }
    stroke.old.set(bytes.subarray(at + 5 + 8 * n, at + 5 + 9 * n));
    stroke.new.set(bytes.subarray(at + 5 + 9 * n, at + 5 + 10 * n));
    const kind = KINDS[bytes[at]];
    stroke.auto = kind === "auto";
    strokes.push({ kind, stroke });
    at += 5 + 10 * n;
  }
  return strokes;
}
