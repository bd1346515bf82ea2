// The page: opens images of the queue, hands the pointer and the keyboard to the tools, keeps the work.

import * as api from "./api.js";
import { commands, helpHtml, onKey } from "./commands.js";
import { Clock, Outbox } from "./draft.js";
import { Labels } from "./labels.js";
import { question } from "./question.js";
import { Queue } from "./queue.js";
import { decodeStrokes, encodeMask, encodeStroke } from "./runs.js";
import { spread } from "./spread.js";
import { Superpixels } from "./superpixels.js";
import { Fingers, Hand, TOOLS } from "./tools.js";
import { View } from "./view.js";
import { greyLevels } from "./loading.js";
import { Window } from "./window.js";

const $ = (id) => document.getElementById(id);
const RENEW_S = 10;
const LOOK_S = 20;

class Editor {
  constructor() {
    this.view = new View($("stage"));
    this.hand = new Hand(this);
    this.view.drawCursor = (context) => this.hand.draw(context);
    this.clock = new Clock();
    this.window = new Window($("window-black"), $("window-white"), $("window-out"), (levels) => this.setWindow(levels));
    this.queue = new Queue($("queue"), (key) => this.open(key));
    this.size = 25;
    this.phase = 0;
    this.replace = -1;
    this.labels = null;
    this.readonly = true;
    this.region = -1;
    this.spreadAt = -Infinity;
  }

  async start() {
    const project = await api.json(`/api/project?${api.query({})}`);
    this.project = project;
    document.title = `${project.name} · review`;
    $("project").textContent = project.name;
    $("who").value = api.name() || project.who;
    localStorage.setItem("who", $("who").value);
    this.values = [...project.phases, project.ignore];
    this.colors = new Uint32Array(256);
    for (const [id, color] of Object.entries(project.colors)) this.colors[id] = rgba(color);
    $("home").hidden = !project.stations;
    this._buildPhases();
    this._buildTools();
    this.setPhase(project.phases[Math.min(1, project.phases.length - 1)].id);
    this.setTool("brush");
    this.queue.show(project.images);
    // An image whose last strokes this browser still holds comes first.
    const lost = Object.keys(localStorage).find((key) => key.startsWith("draft "))?.slice(6);
    const wanted = location.hash.slice(1) || lost;
    const first = this.queue.images.find((image) => image.key === wanted) || this.queue.first();
    if (first) await this.open(first.key);
    else this.nothing();
  }

  // ---- images

  async open(key) {
    await this.close();
    this.opening = key;
    this.readonly = true; // until the claim is ours
    this.say("");
    let loaded;
    try {
      loaded = await this.queue.take(key);
    } catch (error) {
      this.say(error.message);
      return;
    }
    if (this.opening !== key) return;
    const { card, levels, mask, draft } = loaded;
    this.card = card;
    this.labels = new Labels(card.width, card.height, mask);
    this.labels.replay(decodeStrokes(draft));
    this.view.open(this.labels, levels, this.colors, null);
    this.superpixels = new Superpixels(key, card.width, card.height, () => this.view.cursor());
    this.superpixels.setGrain(Number($("grain").value));
    $("stage").classList.remove("empty");
    $("image-name").textContent = card.name;
    this.clock.take();
    this.before = card.seconds + 60 * card.minutes;
    this.outbox = new Outbox(key, draft.byteLength, this.clock, (state, text) => this.saved(state, text));
    const lost = this.outbox.stashed();
    this.labels.onstroke = (stroke, kind) => {
      this.outbox.add(encodeStroke(stroke, kind));
      this._shares();
      this._buttons();
    };
    location.hash = key;
    this.region = -1;
    this.queue.mark(key);
    await this._claim(false);
    if (lost && !this.readonly) {
      this.labels.replay(decodeStrokes(lost.buffer));
      this.outbox.add(lost);
      this.view.redraw();
      this.view.labelLayer.clear();
    }
    const from = card.draft || lost ? "Draft restored" : card.status === "accepted" ? "Accepted mask" : card.proposed ? "Proposal" : "Nothing labelled yet";
    this.saved("saved", from);
    this._shares();
    this._buttons();
    this._facts();
    this.setHeat(this.view.heat);
    this.setTool(this.hand.tool);
    this.window.open(`/api/images/${key}/window`).catch(() => {}); // a convenience, no more
    $("stage").focus();
    this.queue.prefetch(key);
  }

  async _claim(force) {
    try {
      await api.tell(`/api/images/${this.card.key}/claim`, { force });
      this.readonly = false;
      $("banner").hidden = true;
    } catch (error) {
      if (!(error instanceof api.Refused)) throw error;
      this._taken(error.message);
    }
  }

  _taken(message) {
    this.readonly = true;
    const banner = $("banner");
    banner.replaceChildren(message, button("Take over", () => this._takeOver()), button("Next image", () => this.next()));
    banner.hidden = false;
    this._buttons();
  }

  // The other tab may have painted since: begin again with what it left.
  async _takeOver() {
    const key = this.card.key;
    await this._claim(true);
    this.queue.forget(key);
    this.readonly = true;
    await this.open(key);
  }

  async close() {
    this.hand.cancel();
    if (!this.outbox) return;
    const { outbox, card } = this;
    if (!this.readonly) {
      await outbox.flush(true);
      api.tell(`/api/images/${card.key}/release`, {}).catch(() => {});
    }
    outbox.close();
    this.outbox = null;
    this.queue.forget(card.key);
  }

  nothing() {
    this.labels = null;
    this.card = null;
    this.view.labels = null;
    for (const context of Object.values(this.view.canvases)) context.clearRect(0, 0, this.view.width, this.view.height);
    $("stage").classList.add("empty");
    $("banner").hidden = true;
    $("image-name").textContent = "";
    $("image-facts").textContent = "";
    $("test-image").hidden = true;
    this.say("");
    const accepted = this.queue.images.filter((image) => image.status === "accepted").length;
    $("banner").replaceChildren(`Nothing waits for you: ${accepted} of ${this.queue.images.length} images are annotated. See `, link("Progress", "/status"), ".");
    $("banner").hidden = false;
    this._buttons();
  }

  // ---- decisions

  // The decision travels while the next image opens; should it fail, the draft is still there.
  async decide(decision) {
    if (!this.labels || this.readonly || this.deciding) return;
    // What is accepted is what was seen, not what is about to come.
    if (decision === "accept" && this.spreading === this.labels)
      return this.say("Your strokes are still being spread: look at the result first, then accept.", 4000);
    this.hand.cancel();
    const { ignore } = this.project;
    if (decision === "accept" && this.labels.data.every((id) => id === ignore.id))
      return this.say("Nothing is labelled yet: paint first, or skip the image.", 4000);
    if (decision === "accept" && this._unlooked() && !(await surely(this.card, this.labels.done.length > 0))) return;
    this.deciding = true;
    const { card, outbox } = this;
    try {
      await outbox.drain();
      if (!outbox.empty || outbox.closed)
        throw new Error("The server is away: your work is kept. Try again when it is back.");
      const values = api.query({ decision, sure: 1, seconds: this.clock.take().toFixed(2) });
      const body = decision === "accept" ? encodeMask(this.labels.data) : "";
      outbox.close();
      this.outbox = null;
      this.queue.forget(card.key);
      this.queue.decided(card.key, decision);
      const sent = api.post(`/api/images/${card.key}/decision?${values}`, body);
      sent.catch(() => {}); // reported below
      const next = this.queue.after(card.key);
      if (next) await this.open(next.key);
      else this.nothing();
      await sent;
    } catch (error) {
      this._undecided(card, error);
    } finally {
      this.deciding = false;
      this.refresh();
    }
  }

  // A test image is the yardstick: one that was accepted as it came, at once, says only that a model agrees with itself.
  _unlooked() {
    const { card, labels } = this;
    if (card.role !== "test" || card.status === "accepted") return false;
    if (labels.done.at(-1)?.auto) return performance.now() - this.spreadAt < 1000 * LOOK_S;
    const seconds = this.before + (this.outbox?.seconds || 0) + this.clock.seconds;
    return card.proposed && !labels.done.length && seconds < LOOK_S;
  }

  _undecided(card, error) {
    const banner = $("banner");
    const again = button("Open it again", () => this.open(card.key));
    const close = button("Close", () => (banner.hidden = true));
    banner.replaceChildren(`${card.name}: the decision was not kept. ${error.message}`, again, close);
    banner.hidden = false;
  }

  async next(step = 1) {
    const next = this.card ? this.queue.after(this.card.key, step) : this.queue.first();
    if (next) await this.open(next.key);
    this.refresh();
  }

  async refresh() {
    const project = await api.json(`/api/project?${api.query({})}`).catch(() => null);
    if (project) this.queue.show(project.images, this.card?.key);
  }

  async save() {
    if (!this.outbox || this.readonly) return;
    this.hand.cancel();
    await this.outbox.flush(true);
  }

  saved(state, text) {
    const chip = $("saved");
    chip.className = `chip ${state}`;
    chip.textContent = text;
    chip.title = text;
    if (state === "taken") this._taken(text);
  }

  // ---- tools

  setTool(tool) {
    this.hand.choose(tool);
    for (const element of $("tools").children) element.setAttribute("aria-pressed", element.dataset.tool === tool);
    $("replace-row").hidden = tool !== "replace";
    $("grain-row").hidden = tool !== "superpixel";
    if (tool === "superpixel") this._prepareSuperpixels();
    else this.say(sentence(TOOLS.find((t) => t.id === tool)), 4000);
    this.view.cursor();
  }

  _prepareSuperpixels() {
    if (!this.labels) return;
    const { view } = this;
    const box = [-view.y, -view.x, view.height - view.y, view.width - view.x].map((v) => v / view.scale);
    if (view.scale < 0.5) this.say("Zoom in: superpixels are made for the part under the pointer.", 3000);
    else if (this.superpixels.prepare(...box)) this.say("Superpixels are being made …", 2500);
  }

  setPhase(id) {
    if (!this.values.some((value) => value.id === id)) return;
    this.phase = id;
    const value = this.values.find((v) => v.id === id);
    this.color = id === this.project.ignore.id ? "#ffffff" : value.color;
    for (const element of $("phases").children) element.setAttribute("aria-checked", Number(element.dataset.id) === id);
    this.view.cursor();
  }

  setSize(size) {
    this.size = Math.min(200, Math.max(1, Math.round(size)));
    $("size").value = this.size;
    $("size-out").textContent = `${this.size} px`;
    this.view.cursor();
  }

  async setHeat(on) {
    $("heat").checked = on;
    this.view.setHeat(on);
    if (!on || !this.card) return;
    if (!this.card.proposed) return this.say("There is no proposal yet, so no uncertainty.", 3000);
    if (!this.card.uncertainty) {
      const { card } = this;
      card.uncertainty = new Uint8Array(await api.bytes(`/api/images/${card.key}/uncertainty`));
      if (card !== this.card) return;
    }
    if (!this.view.heatLayer) this.view.setUncertainty(this.card.uncertainty);
  }

  nextRegion(step) {
    const regions = this.card?.regions || [];
    if (!regions.length) return this.say("No uncertain place: there is no proposal, or it is sure everywhere.", 3000);
    this.region = (this.region + step + regions.length) % regions.length;
    const region = regions[this.region];
    if (this.view.scale < 3) this.view.scale = 3;
    this.view.centre(region.row, region.column);
    this.hand.at = [region.row, region.column];
    this.view.cursor();
    this.say(`Uncertain place ${this.region + 1} of ${regions.length} (${Math.round(100 * region.score)} %)`, 3000);
  }

  setGrain(size) {
    set("grain", size);
    $("grain-out").textContent = `${$("grain").value} px`;
    this.superpixels?.setGrain(Number($("grain").value));
    this.view.cursor();
    if (this.hand.tool === "superpixel") this._prepareSuperpixels();
  }

  nextReplaced() {
    const menu = $("replace");
    menu.selectedIndex = (menu.selectedIndex + 1) % menu.options.length;
    this.replace = Number(menu.value);
    this.setTool("replace");
    this.say(`Replace repaints ${menu.selectedOptions[0].textContent}`, 4000);
  }

  setOpacity(value) {
    set("opacity", Math.min(1, Math.max(0, value)));
    this.view.setOpacity($("opacity").value);
    $("opacity-out").textContent = `${Math.round(100 * $("opacity").value)} %`;
  }

  setTone(name, value) {
    set(name, value);
    this.view.setTone({ [name]: Number($(name).value) });
    $(`${name}-out`).textContent = Number($(name).value).toFixed(2);
  }

  // levels: [black, white] of the image as acquired
  async setWindow(levels) {
    const { card } = this;
    if (!card) return;
    const grey = await greyLevels(card, levels);
    if (card === this.card) this.view.setGrey(grey);
  }

  resetTone() {
    for (const [name, value] of [["contrast", 1], ["brightness", 0], ["gamma", 1]]) this.setTone(name, value);
    if (!this.window.facts) return;
    this.window.reset();
    this.setWindow([this.window.facts.black, this.window.facts.white]);
  }

  spread() {
    return spread(this);
  }

  undo() {
    if (this.readonly || !this.labels) return;
    if (this.labels.undo()) this.say("");
    else this.say("Nothing to undo", 1500);
  }

  redo() {
    if (!this.readonly && this.labels && !this.labels.redo()) this.say("Nothing to redo", 1500);
  }

  say(text, forMs = 0) {
    $("hint").textContent = text;
    clearTimeout(this.silence);
    if (forMs) this.silence = setTimeout(() => ($("hint").textContent = ""), forMs);
  }

  // ---- what the page shows

  _buildPhases() {
    const rows = this.values.map((value, i) => {
      const row = button("", () => this.setPhase(value.id));
      row.dataset.id = value.id;
      row.setAttribute("role", "radio");
      const ignore = value.id === this.project.ignore.id;
      const key = ignore ? "0" : i < 9 ? String(i + 1) : "";
      const swatch = document.createElement("i");
      swatch.className = ignore ? "swatch ignore" : "swatch";
      if (!ignore) swatch.style.background = value.color;
      row.append(swatch, value.name, element("span", "share", ""), element("kbd", "", key));
      return row;
    });
    $("phases").replaceChildren(...rows);
    const options = this.project.phases.map((phase) => new Option(`only ${phase.name}`, phase.id));
    $("replace").replaceChildren(new Option("the phase under the pointer", -1), ...options, new Option("only ignore", this.project.ignore.id));
  }

  _buildTools() {
    $("tools").replaceChildren(
      ...TOOLS.map((tool) => {
        const b = button("", () => this.setTool(tool.id));
        b.innerHTML = `${tool.icon}<span>${tool.label}</span>`;
        b.dataset.tool = tool.id;
        b.title = `${sentence(tool)} (${tool.key.toUpperCase()})`;
        b.setAttribute("aria-label", tool.label);
        return b;
      }),
    );
  }

  // Share of the image that each phase covers now; counted when the browser has time.
  _shares() {
    clearTimeout(this.counting);
    this.counting = setTimeout(() => {
      if (!this.labels) return;
      const counts = new Uint32Array(256);
      const { data } = this.labels;
      for (let i = 0; i < data.length; i++) counts[data[i]]++;
      for (const row of $("phases").children) {
        const share = (100 * counts[row.dataset.id]) / data.length;
        row.querySelector(".share").textContent = `${share.toFixed(1)} %`;
      }
    }, 400);
  }

  _buttons() {
    const off = !this.labels || this.readonly;
    $("undo").disabled = off || !this.labels.done.length;
    $("redo").disabled = off || !this.labels.undone.length;
    for (const id of ["save", "reject", "skip"]) $(id).disabled = off;
    const waits = off || this.spreading === this.labels;
    $("accept").disabled = waits;
    $("spread").disabled = waits || !this.labels.done.some((stroke) => !stroke.auto);
  }

  _facts() {
    if (!this.card) return;
    const { width, height, pixel_size_nm: nm, role } = this.card;
    const size = nm ? `, ${nm.toPrecision(4)} nm a pixel` : "";
    $("image-facts").textContent = `${width} × ${height}${size} · ${Math.round(100 * this.view.scale)} %`;
    $("test-image").hidden = role !== "test";
  }

  tick() {
    this.clock.tick();
    if (!this.card) return;
    const seconds = Math.floor(this.before + this.outbox?.seconds + this.clock.seconds || 0);
    $("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}

function surely(card, spread) {
  const how = spread ? "It was just repainted by spreading, and you looked at it for a moment only." : "It is the model's own proposal, untouched, and you looked at it for a moment only.";
  return question(`${card.name} is a test image: every model will be measured on this mask. ${how} Is each boundary right?`, "Look closer", "It is right");
}

function sentence(tool) {
  return `${tool.label}: ${tool.says}`;
}

function rgba(color) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function button(text, onclick) {
  const made = element("button", "", text);
  made.type = "button";
  made.addEventListener("click", onclick);
  return made;
}

function link(text, href) {
  const made = element("a", "", text);
  made.href = href;
  return made;
}

function set(id, value) {
  $(id).value = value;
}

const editor = new Editor();
window.editor = editor; // for tests and the curious

function listen() {
  const stage = $("stage");
  const { view, hand } = editor;
  let panning = null;
  let space = false;
  const fingers = new Fingers(view);
  stage.addEventListener("pointerdown", (event) => {
    stage.focus();
    if (!editor.labels) return;
    stage.setPointerCapture(event.pointerId);
    if (fingers.down(event)) {
      if (!editor.readonly) hand.drop();
    } else if (event.button === 1 || event.button === 2 || space) {
      panning = [event.clientX, event.clientY];
      stage.classList.add("panning");
    } else if (event.button === 0 && (!editor.readonly || event.altKey)) {
      const place = view.locate(event);
      if (event.shiftKey) hand.line(place);
      else hand.down(place, event.altKey);
      view.cursor();
    }
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!editor.labels || fingers.move(event)) return;
    if (panning) {
      view.pan((event.clientX - panning[0]) * view.ratio, (event.clientY - panning[1]) * view.ratio);
      panning = [event.clientX, event.clientY];
    } else if (hand.busy)
      for (const part of event.getCoalescedEvents?.().concat(event) || [event]) hand.move(view.locate(part));
    else hand.at = view.locate(event);
    view.cursor();
  });
  const up = (event) => {
    fingers.up(event);
    panning = null;
    stage.classList.remove("panning");
    if (hand.busy) hand.up();
    hand.before = null;
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("pointerleave", () => {
    if (hand.busy || hand.corners.length) return;
    hand.at = null;
    view.cursor();
  });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", () => hand.tool === "polygon" && hand.closePolygon());
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (!editor.labels) return;
      if (event.shiftKey) return editor.setSize(editor.size * (event.deltaY + event.deltaX < 0 ? 1.15 : 1 / 1.15) + (event.deltaY + event.deltaX < 0 ? 0.5 : -0.5));
      const at = view.onScreen(event);
      // A mouse wheel comes in steps; a trackpad in small movements, with Ctrl where two fingers spread.
      if (Math.abs(event.deltaY) >= 50) view.zoomTo(view.scale * Math.pow(1.0016, -event.deltaY), at);
      else view.zoomBy(Math.pow(event.ctrlKey ? 1.01 : 1.004, -event.deltaY), at);
    },
    { passive: false },
  );
  view.onview = () => {
    editor._facts();
    if (hand.tool === "superpixel" && editor.superpixels && view.scale >= 0.5) editor._prepareSuperpixels();
  };

  // A link to another image of the queue.
  window.addEventListener("hashchange", () => {
    const key = location.hash.slice(1);
    if (key && key !== editor.opening && editor.queue.images.some((image) => image.key === key)) editor.open(key);
  });
  for (const name of ["pointermove", "pointerdown", "keydown", "wheel"])
    document.addEventListener(name, () => editor.clock.touch(), { passive: true, capture: true });
  document.addEventListener("visibilitychange", () => {
    editor.clock.tick();
    if (document.hidden) editor.outbox?.flush(true);
  });
  window.addEventListener("pagehide", () => {
    if (!editor.outbox || editor.readonly) return;
    hand.cancel();
    editor.outbox.leave();
    navigator.sendBeacon(`/api/images/${editor.card.key}/release`, JSON.stringify({ session: api.session }));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target === stage) {
      space = true;
      event.preventDefault();
    } else onKey(event, editor);
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") space = false;
    if (event.key.toLowerCase() === "v") view.setOpacity($("opacity").value);
  });

  $("size").addEventListener("input", () => editor.setSize($("size").value));
  $("opacity").addEventListener("input", () => editor.setOpacity($("opacity").value));
  for (const name of ["contrast", "brightness", "gamma"])
    $(name).addEventListener("input", () => editor.setTone(name, $(name).value));
  $("outlines").addEventListener("change", () => view.setOutlines($("outlines").checked));
  $("heat").addEventListener("change", () => editor.setHeat($("heat").checked));
  $("replace").addEventListener("change", () => (editor.replace = Number($("replace").value)));
  $("grain").addEventListener("input", () => editor.setGrain(Number($("grain").value)));
  $("who").addEventListener("change", () => localStorage.setItem("who", $("who").value.trim()));
  for (const id of ["undo", "redo", "spread", "save", "reject", "skip", "next", "accept", "next-region", "reset-tone"])
    $(id).addEventListener("click", () => {
      commands.find((command) => command.id === id).run(editor);
      stage.focus();
    });
  // On small screens the panels are shown when asked for.
  for (const name of ["settings", "queue"])
    $(`${name}-button`).addEventListener("click", (event) => {
      const shown = document.body.classList.toggle(name);
      event.currentTarget.setAttribute("aria-expanded", shown);
    });
  $("help").innerHTML = helpHtml();
  $("help-button").addEventListener("click", () => $("help").showModal());
  setInterval(() => editor.tick(), 1000);
  setInterval(() => {
    if (editor.outbox && !editor.readonly) editor.outbox.flush(true);
  }, 1000 * RENEW_S);
  setInterval(() => editor.refresh(), 15000);
}

listen();
editor.setSize(25);
editor.setOpacity(0.45);
for (const [name, value] of [["contrast", 1], ["brightness", 0], ["gamma", 1]]) editor.setTone(name, value);
editor.setGrain(16);
editor.start().catch((error) => editor.saved("away", error.message));
