// An image with all that belongs to it, ready to be shown: what is large is made ready by a worker.

import { bytes, json, query, refusal } from "./api.js";

const worker = new Worker("/static/worker.js", { type: "module" });
const waiting = new Map();

worker.onmessage = ({ data: { id, error, status, ...ready } }) => {
  const [done, failed] = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) done(ready);
  else failed(status ? refusal(status, error) : new Error(error));
};

let asked = 0;

function prepare({ key, width, height }, window = null) {
  return new Promise((done, failed) => {
    waiting.set(++asked, [done, failed]);
    worker.postMessage({ id: asked, key, width, height, window });
  });
}

// The grey image again, with other levels black and white.
export async function greyLevels(image, window) {
  return (await prepare(image, window)).levels;
}

// image: a row of the queue. Gives its card, mask, levels (see worker.js) and the bytes of its draft.
export async function load(image) {
  const [card, ready, draft] = await Promise.all([
    json(`/api/images/${image.key}?${query({})}`),
    prepare(image),
    bytes(`/api/images/${image.key}/draft`),
  ]);
  return { card, draft, ...ready };
}
