// Talks to the server; every answer is JSON or bytes, every refusal an Error with the server's sentence.

export const session = (() => {
  const fresh = () => crypto.randomUUID();
  let id = sessionStorage.getItem("session");
  if (!id) sessionStorage.setItem("session", (id = fresh()));
  return id;
})();

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function checked(response) {
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error || text;
  } catch {
    // plain text
  }
  throw new Refused(response.status, message);
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

export function name() {
  return localStorage.getItem("who") || "";
}

export function query(values) {
  return new URLSearchParams({ session, who: name(), ...values });
}
