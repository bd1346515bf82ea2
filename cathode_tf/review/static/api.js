// Talks to the server; every answer is JSON or bytes, every refusal an Error with the server's sentence.

// Each tab is a session of its own, and stays it over a reload. A duplicated tab inherits the storage of
// the first, so a tab asks around whether its session is in use before it takes it.
const channel = new BroadcastChannel("cathode review");

function inUse(id) {
  return new Promise((answer) => {
    channel.onmessage = (event) => event.data === `in use ${id}` && answer(true);
    channel.postMessage(`who is ${id}`);
    setTimeout(() => answer(false), 100);
  });
}

// Not `randomUUID`, which a browser keeps from pages that come over the network unencrypted, as `--lan` serves them.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ownSession() {
  const before = sessionStorage.getItem("session");
  const id = before && !(await inUse(before)) ? before : newId();
  sessionStorage.setItem("session", id);
  channel.onmessage = (event) => event.data === `who is ${id}` && channel.postMessage(`in use ${id}`);
  return id;
}

export const session = await ownSession();

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// What the server says, in JSON or as plain text.
export function refusal(status, text) {
  let message = text;
  try {
    message = JSON.parse(text).error || text;
  } catch {
    // plain text
  }
  return new Refused(status, message);
}

async function checked(response) {
  if (response.ok) return response;
  throw refusal(response.status, await response.text());
}

export async function json(path) {
  return (await checked(await fetch(path))).json();
}

export async function bytes(path) {
  return (await checked(await fetch(path))).arrayBuffer();
}

export async function post(path, body, options = {}) {
  return (await checked(await fetch(path, { method: "POST", body, ...options }))).json();
}

export function tell(path, content) {
  return post(path, JSON.stringify({ session, who: name(), ...content }));
}

// Tell something that is answered in bytes.
export async function ask(path, content) {
  const body = JSON.stringify({ session, who: name(), ...content });
  return (await checked(await fetch(path, { method: "POST", body }))).arrayBuffer();
}

export function name() {
  return localStorage.getItem("who") || "";
}

export function query(values) {
  return new URLSearchParams({ session, who: name(), ...values });
}
