// Elements in one line each.

// el("p.quiet", { title: "x", onclick }, "text", child): attributes, handlers and children.
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || (value === false && !key.startsWith("aria-"))) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) made.setAttribute(key, String(value)); // "true", never ""
    else if (key in made && key !== "list" && key !== "form") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// A button that cannot be pressed twice while what it began is under way, and that says what went wrong.
export function action(text, run, { primary = false, say, ...more } = {}) {
  const made = el(primary ? "button.primary" : "button", { type: "button", ...more }, text);
  made.addEventListener("click", async () => {
    if (made.disabled) return;
    made.disabled = true;
    try {
      await run();
    } catch (error) {
      (say || alert)(error.message);
    } finally {
      made.disabled = Boolean(more.disabled);
    }
  });
  return made;
}

export function time(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 55) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = seconds / 60;
  return minutes < 10 ? `${(Math.round(minutes * 2) / 2).toString()} min` : `${Math.round(minutes)} min`;
}

export function counted(count, noun, plural = `${noun}s`) {
  return `${count} ${count === 1 ? noun : plural}`;
}

export function nanometres(size) {
  if (!size) return "";
  return size >= 1000 ? `${(size / 1000).toPrecision(4)} µm` : `${size.toPrecision(4)} nm`;
}
