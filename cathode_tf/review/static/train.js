// Station 5: one button; then whether it got better, in one sentence and in pictures.

import * as api from "./api.js";
import { chart } from "./chart.js";
import { counted, el, time } from "./dom.js";

export const title = "Train";
export const about = (desk) => (desk.project.champion ? `model ${desk.project.champion}${desk.project.challenger ? `, ${desk.project.challenger} waits` : ""}` : "");
export const done = (desk) => Boolean(desk.project.champion);
export const live = (desk) => desk.job("train")?.epoch;

const LEAST = 0.005; // a change of Dice below this is none that a person would see

const FEW = 50; // steps

let minutes = null;
const how = {}; // start and preset, where someone chose them

export async function draw(desk) {
  const { project } = desk;
  if (!project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  const running = desk.job("train", "running", "waiting");
  const parts = [];
  const told = running && [`It learns from ${counted(project.pool_annotated, "image")} for ${counted(Number(running.options.minutes), "minute")}`, project.test_annotated && `is then measured on your ${project.test_annotated === 1 ? "test image" : `${project.test_annotated} test images`}`].filter(Boolean).join(", and ");
  if (running) parts.push(el("p", {}, `${told}. You may close this page, correct more images or turn to other work: the training goes on. Its progress is below.`), await curve(desk));
  else parts.push(ready(desk));
  const verdict = await api.json("/api/app/verdict");
  const last = desk.job("train", "done", "running");
  const notes = last?.notes?.length ? last.notes.map((note) => el("div.warn", {}, note)) : [];
  if (verdict && !running) parts.push(...judged(desk, verdict), ...notes, await curve(desk));
  return parts;
}

function ready(desk) {
  const { project } = desk;
  if (!project.pool_annotated) return desk.step("Nothing is corrected yet that a model could learn from.", el("a.button.primary", { href: "/review" }, "Correct images"));
  const steps = el("span", { id: "steps" });
  const tell = (value) => {
    const count = project.step_s ? Math.round((60 * value) / project.step_s) : FEW;
    steps.textContent = project.step_s ? `, about ${counted(count, "step")} here${count < FEW ? ": hardly anything is learned from so few, a hundred are a beginning" : ""}` : "";
  };
  const field = el("input", { type: "number", min: 0.5, max: 600, step: 0.5, value: minutes ?? project.minutes ?? 2, id: "minutes", style: "width: 5.5em", oninput: (event) => tell((minutes = event.target.value)) });
  tell(field.value);
  const unmeasured = project.test_annotated ? "" : " No test image is corrected yet, so nobody will know how good the model is.";
  return desk.step(
    `Learn from ${counted(project.pool_annotated, "image")}.${unmeasured}`,
    el("label", {}, field, " minutes", steps),
    desk.action("Train", () => desk.post("/api/app/jobs", { kind: "train", minutes: Number(field.value), how }), { primary: true, id: "train" }),
    beginning(project),
    !project.test_annotated && project.test_images > 0 && el("a.button", { href: "/review" }, "Correct the test image first"),
  );
}

// With what the training begins; few need to choose.
function beginning(project) {
  const shipped = project.can_propose_default;
  const choices = [
    project.champion && ["champion", `your model ${project.champion}`],
    shipped && ["default", "the model that comes with the package"],
    ["scratch", "nothing (small network, quick)"],
  ].filter(Boolean);
  const chosen = how.start || choices[0][0];
  const select = el("select", { id: "begin-with", onchange: (event) => Object.assign(how, { start: event.target.value, preset: event.target.value === "scratch" ? "small" : "base" }) },
    ...choices.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return el("details", { open: Boolean(how.start) }, el("summary", {}, "Begin with"), select);
}

function judged(desk, verdict) {
  const { project } = desk;
  const model = verdict.model;
  const buttons = [];
  if (verdict.advice === "promote" || verdict.advice === "keep") {
    if (!verdict.stable && !verdict.was_stable) {
      const force = verdict.advice === "keep";
      buttons.push(desk.action(force ? "Use it all the same …" : `Use model ${model}`, async () => {
        const reason = force ? prompt(`Model ${model} is not recommended: ${verdict.reason}. Why use it?`) : "";
        if (force && !reason) return;
        await desk.post("/api/app/promote", force ? { reason } : {});
      }, { primary: !force, id: "promote" }));
    }
  }
  const back = verdict.before ? "Back to the model before" : "Back to the default model";
  if (verdict.stable && project.can_roll_back) buttons.push(desk.action(back, () => desk.post("/api/app/rollback", { reason: "on the page" }), { id: "rollback" }));
  if (verdict.stable || verdict.was_stable) buttons.push(desk.action("Propose again with it", () => desk.go("propose")));
  if (project.champion || project.can_propose_default) buttons.push(desk.action("Apply to all images", () => desk.go("apply"), { primary: verdict.stable, id: "to-apply-button" }));
  const worse = verdict.stable && verdict.advice === "keep" && (verdict.dice.before ?? verdict.dice.default) - verdict.dice.model >= LEAST;
  const rival = verdict.before ? "model before" : "default model";
  const more = "train longer, or correct more images";
  const state = worse ? `It is in use, though the ${rival} did better on these (${verdict.reason}): go back, ${more}.` : verdict.stable ? "It is in use." : verdict.advice === "keep" ? `The ${rival} stays in use (${verdict.reason}): ${more}.` : verdict.advice === "promote" ? `Recommended: ${verdict.reason}.` : "";
  const word = { before: "before", default: "default model", model: `model ${model}` };
  const pictures = verdict.images.slice(0, 4).map((image) => {
    const shown = [["accepted", "as you corrected it"], ...(verdict.before ? [[verdict.before, `before${dice(image.before)}`]] : [["default", `default model${dice(image.default)}`]]), [model, `now${dice(image.model)}`]];
    return el("div", {}, el("h2", {}, image.name), el("div.pictures", {}, ...shown.map(([what, text]) => el("figure", {}, el("img", { src: `/api/images/${image.key}/picture/${what}`, alt: text, onerror: (event) => event.target.closest("figure").remove() }), el("figcaption", {}, text)))));
  });
  const names = Object.entries(verdict.phases);
  const table = names.length && el("p.quiet", {}, `Dice of each phase, against ${word[verdict.dice.before !== undefined ? "before" : "default"]}: ${names.map(([name, gain]) => `${name} ${signed(gain)}`).join(", ")}.`);
  return [el(`div.verdict${(verdict.advice === "keep" && !verdict.stable) || worse ? ".keep" : ""}`, { id: "verdict" }, verdict.sentence, " ", el("span.quiet", {}, state)), el("div.bar", {}, ...buttons), table, ...pictures];
}

// Three digits with a sign; what rounds to nothing has none.
const signed = (gain) => (Math.abs(gain) < 0.0005 ? "±0" : `${gain > 0 ? "+" : "−"}${Math.abs(gain).toFixed(3)}`);
const dice = (value) => (value === undefined ? "" : ` ${value.toFixed(2)}`);

// Validation Dice by minutes of the newest run.
async function curve(desk) {
  const rows = await api.json("/api/app/history");
  if (rows.length < 1) return null;
  const points = rows.map((row) => ({ x: row.minutes, y: row.mean_dice, label: `${time(60 * row.minutes)}: ${row.mean_dice.toFixed(3)}` }));
  const drawn = chart({ title: "Validation Dice", xTitle: "minutes", yTitle: "Dice on the lower parts", points });
  drawn.classList.add("curve");
  return el("div", {}, el("h2", {}, "Training curve"), drawn);
}
