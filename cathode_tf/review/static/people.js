// Station 8: names without accounts, who agrees with whom, who changed what.

import * as api from "./api.js";
import { el } from "./dom.js";

export const title = "People";
export const about = () => "";

export async function draw(desk) {
  if (!desk.project) return [el("p", {}, "Choose the images first.")];
  const found = await api.json("/api/app/people");
  const parts = [el("p", {}, "Each person gives a name (at the top right); an image that one is at work on is taken for the others.")];
  if (!found.lan) parts.push(el("p.quiet", {}, "The page listens on this computer alone. For others in your network, start it with: cathode-tf app --lan"));
  if (found.lan && desk.state.owner) {
    const field = el("input", { placeholder: "Name", maxLength: 80, id: "invite-name" });
    parts.push(
      el("div.warn", {}, "Whoever reaches this computer and has one of these links can see and change this project. Take links back when they are no longer needed."),
      el("div.bar", {}, field, desk.action("Invite", () => desk.post("/api/app/people", { invite: field.value }), { id: "invite" })),
      el("table", {}, el("tbody", {}, ...found.people.map((person) => el("tr", {}, el("td", {}, person.name), el("td", {}, el("code", {}, person.link)), el("td", {}, desk.action("Take back", () => desk.post("/api/app/people", { remove: person.name }))))))),
    );
  }
  if (found.agreements.length) {
    const rows = found.agreements.map((row) => el("tr", {}, el("td", {}, row.image), el("td", {}, row.people.join(" and ")), el("td", {}, row.mean?.toFixed(3) ?? "–"), el("td.quiet", {}, Object.entries(row.by_phase).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", "))));
    parts.push(el("h2", {}, "Agreement on the same image (mean Dice)"), el("table", {}, el("tbody", {}, ...rows)));
  }
  parts.push(el("h2", {}, "Who changed what"), el("div.log", {}, found.log.join("\n")));
  return parts;
}
