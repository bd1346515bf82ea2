// Random points, one after the other: keys 1 to 9 name the phase, 0 or ? is "cannot tell", U takes back.

const element = (id) => document.getElementById(id);
const CANNOT_TELL = "?";
// Among the stations the address says which batch the points are of, and the person has given a name.
const batch = new URLSearchParams(location.search).get("batch");
const OF = batch === null ? "" : `batch=${encodeURIComponent(batch)}`;
let state = null;
let at = 0;
let wide = 1;
let busy = false;
const given = []; // what was answered in this visit, newest last, for undo

async function ask(path, options) {
  const response = await fetch(path, options);
  const content = response.headers.get("content-type")?.includes("json") ? await response.json() : null;
  if (!response.ok) throw new Error(content?.error ?? (await response.text()));
  return content;
}

function nextOpen() {
  const open = state.answers.findIndex((answer) => answer === "");
  return open < 0 ? state.answers.length : open;
}

function choices() {
  return [...state.phases.map((phase) => phase.name), CANNOT_TELL];
}

function show() {
  const done = state.answers.filter((answer) => answer !== "").length;
  const all = state.answers.length;
  element("count").textContent =
    at < all ? `Point ${at + 1}; ${done} of ${all} answered` : `All ${all} points are answered. ${state.result ?? ""}`;
  element("progress").value = done / all;
  element("promise").textContent = done < 20 ? state.promise : (state.result ?? "");
  element("advice").textContent = state.advice;
  element("view").hidden = at >= all;
  if (at < all) element("picture").src = `/api/verify/${at}/view?wide=${wide}&${OF}`;
  for (const button of element("answers").children) button.disabled = at >= all;
  element("undo").disabled = done === 0;
}

async function send(point, reference) {
  if (busy) return;
  busy = true;
  try {
    state = await ask(`/api/verify/${point}?${OF}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ reference, who: localStorage.getItem("who") ?? undefined }),
    });
    element("error").textContent = "";
    at = reference === "" ? point : nextOpen();
    show();
  } catch (error) {
    element("error").textContent = `Not kept: ${error.message}`;
  } finally {
    busy = false;
  }
}

function answer(reference) {
  if (busy || at >= state.answers.length) return;
  given.push(at);
  send(at, reference);
}

function undo() {
  if (busy) return;
  // After a reload the last answered point in the order of the points is the newest.
  const last = given.pop() ?? state.answers.findLastIndex((each) => each !== "");
  if (last >= 0) send(last, "");
}

function zoom(factor) {
  wide = Math.min(8, Math.max(1, wide * factor));
  show();
}

function buttons() {
  choices().forEach((name, index) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = name === CANNOT_TELL ? "0" : String(index + 1);
    button.append(key, name === CANNOT_TELL ? "cannot tell" : name);
    if (name !== CANNOT_TELL) button.style.setProperty("--swatch", state.phases[index].color);
    button.addEventListener("click", () => answer(name));
    element("answers").append(button);
  });
  element("undo").addEventListener("click", undo);
  element("closer").addEventListener("click", () => zoom(0.5));
  element("farther").addEventListener("click", () => zoom(2));
}

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const number = Number.parseInt(event.key, 10);
  if (number >= 1 && number <= state.phases.length) answer(state.phases[number - 1].name);
  else if (event.key === "0" || event.key === "?") answer(CANNOT_TELL);
  else if (event.key === "u" || event.key === "U" || event.key === "Backspace") undo();
  else if (event.key === "+") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else return;
  event.preventDefault();
});

try {
  state = await ask(`/api/verify?${OF}`);
  element("back").hidden = batch === null;
  buttons();
  at = nextOpen();
  show();
} catch (error) {
  element("error").textContent = error.message;
}
