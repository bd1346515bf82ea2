// Which images measure the models: drawn when the images came in, chosen by a person as long as nobody corrected them.

import * as api from "./api.js";
import { el } from "./dom.js";
import { YARDSTICK } from "./words.js";

export function chooseTests(desk) {
  const { images } = desk.project;
  const boxes = images.map((image) => el("input", { type: "checkbox", checked: image.role === "test", disabled: ["accepted", "rejected"].includes(image.status), value: image.key, "aria-label": image.name }));
  const keep = desk.action("Keep", async () => {
    const keys = boxes.filter((box) => box.checked).map((box) => box.value);
    try {
      const { with: more } = await api.tell("/api/app/tests", { keys });
      dialog.close();
      await desk.refresh(true);
      if (more.length) desk.say(`${more.join(", ")}: of the same group, so test ${more.length > 1 ? "images" : "image"} too.`);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }, { primary: true, id: "keep-tests" });
  const problem = el("div.error", { role: "alert", hidden: true });
  const row = (image, i) => el("label.pick", {}, boxes[i], el("img", { src: `/api/images/${image.key}/thumbnail`, loading: "lazy", alt: "" }), el("span", {}, image.name), boxes[i].disabled && el("span.quiet.small", {}, "corrected already"));
  const dialog = desk.dialog(
    el("h2", {}, "Test images"),
    el("p", {}, YARDSTICK, " Choose one that is like those you will measure; one in five is plenty."),
    problem,
    el("div.picks", {}, ...images.map(row)),
    el("div.bar", {}, keep, el("form", { method: "dialog" }, el("button", {}, "Cancel"))),
  );
}
