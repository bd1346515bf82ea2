// Particles of one image: a stroke splits, merges or redraws them; wheel zooms, right button or Space moves.

import { bytes, json, query, tell } from "./api.js";

const KINDS = {
  split: ["Split", "S", "Draw one stroke across a particle, from outside to outside: it becomes two."],
  merge: ["Merge", "M", "Draw one stroke over two particles or more: they become one."],
  redraw: ["Redraw", "R", "Draw around a particle: what lies inside becomes one of its own."],
};
const element = (id) => document.getElementById(id);
const stage = element("stage");
let kind = "split";
let image = null; // of the project: key, name, height, width
let grey = null; // the micrograph, a canvas of its pixels
let card = null; // what the server says of the particles
let paths = null;
let view = { scale: 1, x: 0, y: 0 };
let stroke = null; // points (row, column)
let moving = null;
let space = false;
let busy = false;

function draw() {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  if (stage.width !== width * ratio || stage.height !== height * ratio) {
    stage.width = width * ratio;
    stage.height = height * ratio;
  }
  const pen = stage.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!grey) return;
  pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  pen.imageSmoothingEnabled = view.scale < 1;
  pen.drawImage(grey, 0, 0);
  pen.lineWidth = 1.5 / view.scale;
  pen.strokeStyle = "#ffb000";
  if (paths) pen.stroke(paths);
  if (stroke) {
    pen.strokeStyle = "#5fd0ff";
    pen.lineWidth = 2.5 / view.scale;
    pen.beginPath();
    for (const [row, column] of stroke) pen.lineTo(column + 0.5, row + 0.5);
    if (kind === "redraw") pen.closePath();
    pen.stroke();
  }
}

function fit() {
  const scale = Math.min(stage.clientWidth / image.width, stage.clientHeight / image.height);
  view = {
    scale,
    x: (stage.clientWidth - scale * image.width) / 2,
    y: (stage.clientHeight - scale * image.height) / 2,
  };
}

function show(answer) {
  card = answer;
  paths = new Path2D();
  for (const ring of card.outlines) {
    paths.moveTo(ring[0] + 0.5, ring[1] + 0.5);
    for (let i = 2; i < ring.length; i += 2) paths.lineTo(ring[i] + 0.5, ring[i + 1] + 0.5);
    paths.closePath();
  }
  const steps = card.steps ? `, ${card.steps} ${card.steps === 1 ? "step" : "steps"}` : "";
  element("count").textContent = `${card.count} particles${steps}`;
  element("undo").disabled = !card.steps;
  element("redo").disabled = !card.undone;
  element("stale").hidden = !card.stale;
  draw();
}

async function trying(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    element("error").textContent = "";
  } catch (error) {
    element("error").textContent = error.message;
  } finally {
    busy = false;
    draw();
  }
}

const path = () => `/api/images/${image.key}/particles`;
const edit = (what, points = []) => trying(async () => show(await tell(path(), { kind: what, points })));

function open(key, images) {
  return trying(async () => {
    image = images.find((each) => each.key === key);
    [grey, card, paths] = [null, null, null];
    element("count").textContent = "Telling particles apart ...";
    const pixels = new Uint8Array(await bytes(`/api/images/${key}/pixels`));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const rgba = new ImageData(image.width, image.height);
    for (let i = 0; i < pixels.length; i += 1) {
      rgba.data.fill(pixels[i], 4 * i, 4 * i + 3);
      rgba.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(rgba, 0, 0);
    grey = canvas;
    fit();
    draw();
    try {
      show(await json(`${path()}?${query({})}`));
    } catch (error) {
      element("count").textContent = "";
      throw error;
    }
  });
}

function choose(name) {
  kind = name;
  for (const button of element("kinds").children) {
    button.setAttribute("aria-checked", String(button.dataset.kind === name));
  }
  element("hint").textContent = KINDS[name][2];
}

function place(event) {
  const box = stage.getBoundingClientRect();
  return [
    (event.clientY - box.top - view.y) / view.scale - 0.5,
    (event.clientX - box.left - view.x) / view.scale - 0.5,
  ];
}

stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  if (event.button !== 0 || space) moving = [event.clientX - view.x, event.clientY - view.y];
  else if (card && !busy) stroke = [place(event)];
});
stage.addEventListener("pointermove", (event) => {
  if (moving) [view.x, view.y] = [event.clientX - moving[0], event.clientY - moving[1]];
  else if (stroke) stroke.push(...(event.getCoalescedEvents?.() ?? [event]).map(place));
  else return;
  draw();
});
stage.addEventListener("pointerup", () => {
  const points = stroke;
  [moving, stroke] = [null, null];
  if (points && points.length > 1) edit(kind, points);
  else draw();
});
stage.addEventListener("contextmenu", (event) => event.preventDefault());
stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const scale = Math.min(40, Math.max(0.02, view.scale * Math.exp(-event.deltaY / 500)));
    view = {
      scale,
      x: x - ((x - view.x) * scale) / view.scale,
      y: y - ((y - view.y) * scale) / view.scale,
    };
    draw();
  },
  { passive: false },
);
document.addEventListener("keydown", (event) => {
  if (event.key === " ") space = true;
  const key = event.key.toLowerCase();
  const taken = Object.keys(KINDS).find((name) => KINDS[name][1].toLowerCase() === key);
  if (event.target.tagName === "SELECT" || !image) return;
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
    edit(key === "y" || event.shiftKey ? "redo" : "undo");
  } else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (taken) choose(taken);
  else if (key === "u") edit("undo");
  else if (key === "y") edit("redo");
  else if (key === "f") [fit(), draw()];
  else if (key !== " ") return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (event.key === " ") space = false;
});
new ResizeObserver(draw).observe(stage);

for (const [name, [label, key]] of Object.entries(KINDS)) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.kind = name;
  button.setAttribute("role", "radio");
  const shortcut = document.createElement("kbd");
  shortcut.textContent = key;
  button.append(`${label} `, shortcut);
  button.addEventListener("click", () => choose(name));
  element("kinds").append(button);
}
choose("split");
element("undo").addEventListener("click", () => edit("undo"));
element("redo").addEventListener("click", () => edit("redo"));
element("anew").addEventListener("click", () => {
  if (image && (!card?.steps || window.confirm(`Lose ${card.steps} steps?`))) {
    edit("anew");
  }
});

await trying(async () => {
  const project = await json(`/api/project?${query({})}`);
  for (const each of project.images) {
    const option = document.createElement("option");
    option.value = each.key;
    option.textContent = each.name;
    element("images").append(option);
  }
  element("images").addEventListener("change", (event) => open(event.target.value, project.images));
  const wanted = new URLSearchParams(window.location.search).get("image");
  const first = project.images.find((each) => each.key === wanted) ?? project.images[0];
  if (!first) throw new Error("The project holds no image yet.");
  element("images").value = first.key;
  setTimeout(() => open(first.key, project.images));
});
