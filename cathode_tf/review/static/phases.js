// Station 2: what these images show. Colours and roles follow from the names; what is not there is switched off.

import { counted, el } from "./dom.js";

export const title = "Phases";
export const about = (desk) => {
  const on = desk.project.phases.filter((phase) => !phase.off);
  return on.map((phase) => phase.name).join(", ");
};
export const done = (desk) => desk.project.fixed_phases || desk.state.next !== "phases";

let own = "";

export function draw(desk) {
  if (!desk.project) return [el("p", {}, "Choose the images first."), desk.action("Images", () => desk.go("images"), { primary: true })];
  return desk.project.fixed_phases ? switches(desk) : presets(desk);
}

function swatch(phase) {
  return el(`span.phase${phase.off ? ".off" : ""}`, {}, el("i.swatch", { style: `background:${phase.color}` }), phase.says || phase.name, phase.says && phase.says !== phase.name && el("span.quiet.small", {}, phase.name));
}

function presets(desk) {
  const { project } = desk;
  const present = project.phases.map((phase) => phase.name).join(" ");
  const choose = (names) => desk.post("/api/app/phases", { names });
  const cards = desk.state.presets.map((preset) => {
    const names = preset.phases.map((phase) => phase.name);
    return el(
      "button.card",
      { type: "button", id: `preset-${preset.id}`, "aria-pressed": names.join(" ") === present, onclick: () => choose(names).catch((error) => desk.say(error.message)) },
      el("h3", {}, preset.title),
      ...preset.phases.map(swatch),
    );
  });
  const field = el("input", { value: own, size: 40, placeholder: "pore, ncm, coating", id: "own-phases", oninput: (event) => (own = event.target.value) });
  return [
    el("p", {}, "Tick what these images show. A phase that turns out not to be there can be switched off later; masks keep their meaning."),
    desk.step(
      `Chosen: ${project.phases.map((phase) => phase.name).join(", ")}.`,
      desk.action("Go on", async () => {
        await choose(project.phases.map((phase) => phase.name));
        await desk.go("propose");
      }, { primary: true, id: "phases-go" }),
    ),
    el("div.cards", {}, ...cards),
    el("h2", {}, "Or your own"),
    el("div.bar", {}, field, desk.action("Take these", () => choose(field.value.split(/[,;]/).map((name) => name.trim().replaceAll(" ", "_")).filter(Boolean)))),
    el("p.quiet.small", {}, "Names of letters, digits and _. The model that comes with the package knows pore, ncm (or another active material), additive and binder by name or role."),
  ];
}

function switches(desk) {
  const { project } = desk;
  const boxes = project.phases.map((phase) =>
    el(
      "div.bar",
      {},
      el("label.phase", {}, el("input", {
        type: "checkbox",
        checked: !phase.off,
        id: `phase-${phase.name}`,
        onchange: (event) => {
          const off = project.phases.filter((other) => (other.name === phase.name ? !event.target.checked : other.off)).map((other) => other.name);
          desk.post("/api/app/phases", { off }).catch((error) => {
            event.target.checked = !event.target.checked;
            desk.say(error.message);
          });
        },
      }), el("i.swatch", { style: `background:${phase.color}` }), phase.name),
      el("span.quiet", {}, phase.role === "other" ? "" : phase.role),
    ),
  );
  const off = project.phases.filter((phase) => phase.off).map((phase) => phase.name);
  return [
    el("p", {}, "Phases that are switched off are neither proposed nor learned; masks that show them keep them. Switch them on again at any time."),
    ...boxes,
    off.length > 0 && el("p.quiet", {}, `${counted(off.length, "phase")} off: ${off.join(", ")}. Propose again to see masks without ${off.length > 1 ? "them" : "it"}.`),
  ];
}
