// Keeps work: strokes go to the server as they are made, time with them, and both wait where it is away.

import { Refused, json, post, query } from "./api.js";

const IDLE_S = 30;

// Seconds of work: time counts while the page is in sight and the last input is not long ago.
export class Clock {
  constructor(now = () => performance.now() / 1000) {
    this.now = now;
    this.last = now();
    this.touched = -Infinity;
    this.seconds = 0;
  }

  touch() {
    this.tick();
    this.touched = this.now();
  }

  tick() {
    const now = this.now();
    const until = Math.min(now, this.touched + IDLE_S);
    if (!document.hidden && until > this.last) this.seconds += until - this.last;
    this.last = now;
  }

  take() {
    this.tick();
    const seconds = this.seconds;
    this.seconds = 0;
    return seconds;
  }

  giveBack(seconds) {
    this.seconds += seconds;
  }
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export class Outbox {
  // onstate: "saved", "saving", "away" or "taken", with a sentence
  constructor(key, kept, clock, onstate) {
    Object.assign(this, { key, kept, clock, onstate });
    this.waiting = [];
    this.seconds = 0; // already sent
    this.busy = null;
    this.closed = false;
    this.delay = 500;
  }

  add(data) {
    this.waiting.push(data);
    this.flush();
  }

  get empty() {
    return !this.waiting.length && !this.busy;
  }

  // Send what waits, and the time; resolves when it is kept or the server is away.
  flush(force = false) {
    if (this.busy) return this.busy;
    if (this.closed || (!this.waiting.length && !force)) return Promise.resolve();
    this.busy = this._send().finally(() => {
      this.busy = null;
      if (this.waiting.length && !this.timer) this.flush();
    });
    return this.busy;
  }

  // Send all that waits, strokes made meanwhile too; resolves when it is kept, refused, or the server is away.
  async drain() {
    do await this.flush();
    while (!this.empty && !this.closed && !this.timer);
  }

  async _send() {
    const count = this.waiting.length;
    const body = joined(this.waiting);
    const seconds = this.clock.take();
    if (count) this.onstate("saving", "Saving …");
    try {
      const values = query({ at: this.kept, seconds: seconds.toFixed(2) });
      const answer = await post(`/api/images/${this.key}/draft?${values}`, body);
      this.seconds += seconds;
      this._sent(count, answer.bytes);
    } catch (error) {
      this.clock.giveBack(seconds);
      await this._failed(error, count, body.length);
    }
  }

  _sent(count, kept) {
    const wasAway = this.delay > 500;
    this.waiting.splice(0, count);
    this.kept = kept;
    this.delay = 500;
    localStorage.removeItem(this._name());
    if (count || wasAway) this.onstate("saved", "All changes saved");
  }

  async _failed(error, count, size) {
    if (error instanceof Refused && error.status === 409) {
      // Perhaps only the answer was lost: then the draft has exactly what we sent.
      const card = await json(`/api/images/${this.key}?${query({})}`).catch(() => null);
      if (card && !card.taken_by && card.draft_bytes === this.kept + size) return this._sent(count, card.draft_bytes);
      this.closed = true;
      return this.onstate("taken", error.message);
    }
    if (error instanceof Refused) {
      this.closed = true;
      return this.onstate("taken", error.message);
    }
    this.onstate("away", "The server is away: your work is kept here and sent when it is back.");
    this._stash();
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.flush(true);
    }, this.delay);
    this.delay = Math.min(4000, 2 * this.delay);
  }

  _name() {
    return `draft ${this.key}`;
  }

  // The tab may be closed while the server is away: keep what waits in the browser too.
  _stash() {
    if (!this.waiting.length) return;
    const data = joined(this.waiting);
    let text = "";
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    try {
      localStorage.setItem(this._name(), JSON.stringify({ at: this.kept, data: btoa(text) }));
    } catch {
      // the browser's store is full: the open tab still has it
    }
  }

  // What an earlier tab could not send, if it continues this draft.
  stashed() {
    const text = localStorage.getItem(this._name());
    if (!text) return null;
    const { at, data } = JSON.parse(text);
    if (at !== this.kept) return null;
    return Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  }

  // The page goes away: what still waits travels on without it (browsers allow 64 kB).
  leave() {
    this._stash();
    if (this.closed || this.busy) return;
    const body = joined(this.waiting);
    const values = query({ at: this.kept, seconds: this.clock.take().toFixed(2) });
    const keepalive = body.length < 60000;
    fetch(`/api/images/${this.key}/draft?${values}`, { method: "POST", body, keepalive }).catch(() => {});
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}
