// All stations of one project: which there are, where it stands, what to do next; each station draws itself.

import * as api from "./api.js";
import { action, counted, el, time } from "./dom.js";
import * as apply from "./apply.js";
import * as correct from "./correct.js";
import * as images from "./images.js";
import * as people from "./people.js";
import * as phases from "./phases.js";
import * as propose from "./propose.js";
import * as report from "./report.js";
import * as train from "./train.js";

const $ = (id) => document.getElementById(id);
const STATIONS = { images, phases, propose, correct, train, apply, report, people };
// What a job is at, by the label that it tells; its kind's own words where that has none.
const AT = {
  propose: { _: "Proposing masks" },
  train: { _: "Training", "Converting images": "Preparing the images", Calibrating: "Learning how sure it may be", "Measuring models": "Measuring on your test images" },
  apply: { _: "Segmenting all images" },
  report: { _: "Measuring", Drawing: "Drawing the report" },
};
const OVER = ["done", "failed", "stopped"];

class Desk {
  constructor() {
    this.state = null;
    this.at = location.hash.slice(1) in STATIONS ? location.hash.slice(1) : null;
    this.drawn = "";
    this.asked = this.told = this.turn = 0;
  }

  get project() {
    return this.state.project;
  }

  // Jobs that are not over, the newest first.
  get open() {
    return (this.project?.jobs || []).filter((job) => !OVER.includes(job.state));
  }

  job(kind, ...states) {
    return (this.project?.jobs || []).find((job) => job.kind === kind && (!states.length || states.includes(job.state)));
  }

  async refresh(draw = false) {
    const turn = ++this.asked;
    const answer = await api.json("/api/app");
    // Of two answers under way the one that was asked for last counts.
    if (turn > this.told) Object.assign(this, { state: answer, told: turn });
    const { state } = this;
    if (!$("who").value) {
      $("who").value = state.guest || api.name() || state.who;
      localStorage.setItem("who", $("who").value);
      $("who").disabled = Boolean(state.guest);
    }
    if (!this.at) this.at = state.next;
    this._frame();
    // What a station shows is drawn again where something of it changed, not under the hands of someone who types.
    const key = JSON.stringify([this.at, state.project && { ...state.project, jobs: this._jobsKey() }, state.folder, state.copying, STATIONS[this.at].live?.(this)]);
    if (draw || key !== this.drawn) {
      const typing = document.activeElement?.matches("#station input, #station select");
      if (draw || !typing) {
        this.drawn = key;
        await this._draw();
      }
    }
  }

  _jobsKey() {
    return (this.project?.jobs || []).map((job) => [job.id, job.state]);
  }

  _frame() {
    const { project } = this;
    document.title = project ? `${project.name} · cathode_tf` : "cathode_tf";
    $("project").textContent = project?.name || "cathode_tf";
    $("where").textContent = project?.path || this.state.folder || "";
    const { speed } = this.state;
    $("machine").textContent = speed.ready ? `${counted(speed.cores, "core")}${speed.gpu ? `, ${counted(speed.gpu, "GPU")}` : ", no GPU needed"}` : "loading the model …";
    $("stations").replaceChildren(...Object.entries(STATIONS).map(([id, station], i) => this._tab(id, station, i + 1)));
    // On a phone the stations are one row that is wider than the page.
    if (this.shown !== this.at) document.getElementById(`to-${this.at}`).scrollIntoView({ block: "nearest", inline: "center" });
    this.shown = this.at;
    $("jobs").replaceChildren(...this.open.map((job) => this._job(job)));
  }

  _tab(id, station, number) {
    const done = this.project && station.done?.(this);
    const next = this.state.next === id;
    const text = (this.project && station.about(this)) || "";
    const classes = `${done ? ".done" : ""}${next ? ".next" : ""}`;
    return el(
      `button${classes}`,
      { type: "button", id: `to-${id}`, "aria-current": this.at === id ? "page" : undefined, title: next ? "Next step" : "", onclick: () => this.go(id) },
      el("i", {}, done && !next ? "✓" : String(number)),
      el("span", {}, station.title),
      el("span.state", {}, text),
    );
  }

  _job(job) {
    const known = AT[job.kind][job.label] || AT[job.kind]._;
    const count = job.of ? ` ${job.done} of ${job.of}` : "";
    const left = job.state === "running" && job.left_s !== undefined ? (job.late ? "longer than foretold" : `${time(job.left_s)} left`) : job.state === "paused" ? "paused" : this.state.speed.ready ? "waiting" : "the model is being loaded";
    const facts = job.kind === "train" && job.step ? `step ${job.step}${job.best_dice ? `, best Dice ${job.best_dice.toFixed(3)}` : ""}` : "";
    return el(
      "div.job",
      { id: `job-${job.kind}` },
      el("span", {}, `${known}${count}`),
      el("progress", { value: job.share || 0, max: 1, "aria-label": known }),
      el("span.quiet.left", {}, `${Math.round(100 * (job.share || 0))} % · ${left}`),
      el("span.quiet", {}, facts),
      job.state === "paused"
        ? this.action("Resume", () => this.tell(job, "resume"))
        : job.kind !== "train" && this.action("Pause", () => this.tell(job, "pause")),
      this.action(job.kind === "train" ? "Stop and keep the best" : "Stop", () => this.tell(job, "stop")),
    );
  }

  tell(job, wish) {
    return this.post(`/api/app/jobs/${job.id}`, { wish });
  }

  async _draw() {
    const turn = ++this.turn;
    const station = STATIONS[this.at];
    const problems = (this.project?.jobs || [])
      .filter((job, i, all) => job.state === "failed" && all.findIndex((other) => other.kind === job.kind) === i)
      .map((job) => el("div.error", {}, `${job.kind}: ${job.error} `, this.action("Try again", () => this.tell(job, "resume"))));
    const readonly = this.project && !this.project.writable ? [el("div.warn", {}, "This project's folder is read-only: you may look, but nothing can be kept.")] : [];
    const main = $("station");
    const place = main.scrollTop;
    let content;
    try {
      const { copying } = this.state;
      content = copying && !this.project ? [el("p", {}, `${copying.label}: ${copying.done}${copying.of ? ` of ${copying.of}` : ""} …`)] : await station.draw(this);
    } catch (error) {
      content = [el("div.error", {}, error.message)];
    }
    if (turn !== this.turn) return; // meanwhile another station was asked for, or this one again
    main.replaceChildren(el("h1", {}, station.title), ...readonly, ...problems, ...content.filter(Boolean));
    main.scrollTop = place;
  }

  go(id) {
    if (id === "correct" && this.at === "correct" && this.project) location.href = "/review";
    this.at = id;
    location.hash = id;
    this.drawn = "";
    $("station").scrollTop = 0;
    return this.refresh(true);
  }

  async post(path, content) {
    const answer = await api.tell(path, content);
    await this.refresh(true);
    return answer;
  }

  action(text, run, options = {}) {
    return action(text, run, { say: (message) => this.say(message), ...options });
  }

  // One clear next step: a sentence and its button.
  step(sentence, ...buttons) {
    return el("div.next-step", {}, el("p", {}, sentence), ...buttons);
  }

  say(message) {
    const shown = el("div.error", { role: "alert" }, message);
    $("station").querySelector("[role=alert]")?.remove();
    $("station").prepend(shown);
    $("station").scrollTop = 0;
  }

  dialog(...content) {
    const dialog = $("dialog");
    dialog.replaceChildren(...content);
    dialog.showModal();
    return dialog;
  }
}

const desk = new Desk();
window.desk = desk; // for tests and the curious
$("who").addEventListener("change", () => localStorage.setItem("who", $("who").value.trim()));
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (id in STATIONS && id !== desk.at) desk.go(id);
});

async function live() {
  try {
    await desk.refresh();
    document.body.classList.remove("away");
  } catch {
    document.body.classList.add("away");
    $("machine").textContent = "the server is away; start it again, nothing is lost";
  }
  const soon = desk.open.length || desk.state?.copying || !desk.state?.speed.ready;
  setTimeout(live, document.hidden ? 5000 : soon ? 1000 : 4000);
}
live();
