// The list of images: best ranked first; the next one is fetched while the present one is worked on.

import { load } from "./loading.js";

export class Queue {
  constructor(host, onopen) {
    this.host = host;
    this.onopen = onopen;
    this.images = [];
    this.loads = new Map();
    this.rows = new Map(); // by key: what it shows, and its element
  }

  show(images, current = this.current) {
    this.images = images;
    this.current = current;
    this.largest = images.reduce((most, image) => Math.max(most, image.score || 0), 1e-9);
    // Of thousands of rows only those that changed are made anew, and none moves that need not.
    const rows = images.map((image) => this._kept(image));
    const there = this.host.children;
    if (there.length !== rows.length || rows.some((row, i) => there[i] !== row)) this.host.replaceChildren(...rows);
    const open = images.filter((image) => !["accepted", "rejected"].includes(image.status)).length;
    document.getElementById("left-count").textContent = `· ${open} of ${images.length} to do`;
    this.mark(current);
  }

  _kept(image) {
    const shows = JSON.stringify([image, this.largest]);
    const before = this.rows.get(image.key);
    if (before?.shows === shows) return before.row;
    const row = this._row(image);
    this.rows.set(image.key, { shows, row });
    return row;
  }

  _row(image) {
    const row = document.createElement("li");
    row.className = image.taken_by ? "taken" : image.status;
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.key = image.key;
    const picture = document.createElement("img");
    picture.src = `/api/images/${image.key}/thumbnail`;
    picture.loading = "lazy";
    picture.alt = "";
    const title = document.createElement("span");
    title.className = "title";
    title.textContent = image.name;
    const note = document.createElement("span");
    note.className = "note";
    if (image.score !== null && !["accepted", "rejected"].includes(image.status)) {
      const meter = document.createElement("span");
      meter.className = "meter";
      meter.title = "How undecided the model is, beside the least certain image of the queue";
      const fill = document.createElement("i");
      fill.style.width = `${Math.round(100 * Math.min(1, this._relative(image.score)))}%`;
      meter.append(fill);
      note.append(meter);
    }
    note.append(describe(image));
    button.append(picture, title, note);
    button.addEventListener("click", () => {
      document.body.classList.remove("queue");
      this.onopen(image.key);
    });
    row.append(button);
    return row;
  }

  _relative(score) {
    return score / this.largest;
  }

  mark(key) {
    this.current = key;
    for (const button of this.host.querySelectorAll("button")) {
      const on = button.dataset.key === key;
      button.setAttribute("aria-current", on);
      if (on) button.scrollIntoView({ block: "nearest" });
    }
  }

  // What was just decided, before the server's list says so.
  decided(key, decision) {
    const image = this.images.find((one) => one.key === key);
    image.status = { accept: "accepted", reject: "rejected", skip: "skipped" }[decision];
    image.draft = image.draft && decision === "skip";
    this.show(this.images);
  }

  get open() {
    return this.images.filter((image) => !["accepted", "rejected"].includes(image.status));
  }

  first() {
    return this.open.find((image) => !image.taken_by) || this.open[0] || null;
  }

  // The open image after this one (or before it), going round; taken ones are passed over.
  after(key, step = 1) {
    const start = this.images.findIndex((image) => image.key === key);
    for (let i = 1; i < this.images.length; i++) {
      const image = this.images[(start + i * step + i * this.images.length) % this.images.length];
      if (this.open.includes(image) && !image.taken_by) return image;
    }
    return null;
  }

  prefetch(key) {
    const next = this.after(key);
    if (next && !this.loads.has(next.key)) {
      this.loads.clear();
      const coming = load(next);
      coming.catch(() => this.loads.delete(next.key));
      this.loads.set(next.key, coming);
    }
  }

  take(key) {
    const coming = this.loads.get(key) || load(this.images.find((image) => image.key === key));
    this.loads.delete(key);
    return coming;
  }

  forget(key) {
    this.loads.delete(key);
  }
}

function describe(image) {
  if (image.taken_by) return `taken by ${image.taken_by}`;
  const test = image.role === "test" ? "test · " : "";
  if (test && image.status === "proposed" && !image.draft) return "test image";
  if (image.status === "accepted") return `${test || "accepted · "}${image.minutes.toFixed(1)} min`;
  if (image.draft) return `${test}draft`;
  return test + { new: "to annotate", proposed: "proposal", skipped: "skipped, doubtful", rejected: "rejected" }[image.status];
}
