// Fetches an image and its mask and makes them ready to be shown, away from the page: a stroke never waits for that.

import { decodeMask } from "./runs.js";

// Grey pyramid: level 0 is the image, each next one half as wide (means of 2 x 2).
function pyramid(grey, width, height) {
  const levels = [{ data: grey, width, height }];
  while (Math.max(width, height) > 1024) {
    const from = levels[levels.length - 1].data;
    const w = width >> 1 || 1;
    const h = height >> 1 || 1;
    const data = new Uint8Array(w * h);
    for (let y = 0; y < h; y++) {
      const a = 2 * y * width;
      const b = a + (2 * y + 1 < height ? width : 0);
      for (let x = 0; x < w; x++) {
        const r = 2 * x + 1 < width ? 2 * x + 1 : 2 * x;
        data[y * w + x] = (from[a + 2 * x] + from[a + r] + from[b + 2 * x] + from[b + r] + 2) >> 2;
      }
    }
    levels.push({ data, width: w, height: h });
    width = w;
    height = h;
  }
  return levels;
}

async function bytes(path) {
  const response = await fetch(path);
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return response.arrayBuffer();
}

onmessage = async ({ data: { id, key, width, height, window } }) => {
  try {
    if (window) {
      const grey = await bytes(`/api/images/${key}/pixels?black=${window[0]}&white=${window[1]}`);
      const levels = pyramid(new Uint8Array(grey), width, height);
      postMessage({ id, levels }, levels.map((level) => level.data.buffer));
      return;
    }
    const [grey, runs] = await Promise.all(["pixels", "mask"].map((what) => bytes(`/api/images/${key}/${what}`)));
    const levels = pyramid(new Uint8Array(grey), width, height);
    const mask = decodeMask(runs, width * height);
    postMessage({ id, levels, mask }, [mask.buffer, ...levels.map((level) => level.data.buffer)]);
  } catch (error) {
    postMessage({ id, error: error.message, status: error.status });
  }
};
