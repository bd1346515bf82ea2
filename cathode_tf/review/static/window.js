// Which grey levels of an image, as acquired, are shown black and white: two sliders over its range.

import { json } from "./api.js";

const STEPS = 1000;
const WAIT_MS = 120;

export class Window {
  // black, white: range inputs; out: where their levels are told; onchange: gets [black, white]
  constructor(black, white, out, onchange) {
    Object.assign(this, { black, white, out, onchange, facts: null });
    for (const [input, other, sign] of [[black, white, 1], [white, black, -1]]) {
      Object.assign(input, { type: "range", min: 0, max: STEPS, step: 1 });
      input.addEventListener("input", () => {
        // Black stays below white.
        if (sign * (other.value - input.value) < 1) input.value = Number(other.value) - sign;
        this._tell();
        clearTimeout(this.coming);
        this.coming = setTimeout(() => this.onchange(this.levels), WAIT_MS);
      });
    }
  }

  // address: where the grey levels of an image are told
  async open(address) {
    this.address = address;
    this.facts = null;
    const facts = await json(address);
    if (this.address !== address) return;
    this.facts = facts;
    this.reset();
  }

  // As the image is shown at first; gives whether anything was changed before.
  reset() {
    if (!this.facts) return;
    const { least, most, black, white } = this.facts;
    const at = (level) => Math.round((STEPS * (level - least)) / (most - least || 1));
    this.black.value = Math.min(at(black), STEPS - 1);
    this.white.value = Math.max(at(white), Number(this.black.value) + 1);
    this._tell();
  }

  get levels() {
    const { least, most } = this.facts;
    return [this.black, this.white].map((input) => least + (input.value / STEPS) * (most - least || 1));
  }

  // In the numbers that the file held, a float TIFF's too.
  _tell() {
    if (!this.facts) return;
    const { offset, scale } = this.facts;
    const shown = this.levels.map((level) => Number((offset + scale * level).toPrecision(4)));
    this.out.textContent = shown.map((level) => String(level).replace("-", "−")).join(" to ");
  }
}
