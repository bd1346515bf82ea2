// Small line charts as SVG: points with intervals, an optional fitted band.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 220;
const MARGIN = { left: 52, right: 12, top: 12, bottom: 42 };

function make(name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// About five round numbers that span [low, high].
function ticks(low, high, whole = false) {
  const span = Math.max(high - low, 1e-9);
  let step = Math.pow(10, Math.floor(Math.log10(span / 4)));
  for (const factor of [1, 2, 5, 10]) {
    if (span / (step * factor) <= 6) {
      step *= factor;
      break;
    }
  }
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(value);
  return found;
}

// points: [{ x, y, low, high, label, mark }]; band: { x: [], y: [], low: [], high: [] } or null
export function chart({ title, xTitle, yTitle, points, band = null, whole = false }) {
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  const xs = [...points.map((p) => p.x), ...(band ? band.x : [])];
  const ys = [...points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y]), ...(band ? [...band.low, ...band.high] : [])];
  let [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = [Math.max(0, Math.min(...ys) - 0.02), Math.min(1, Math.max(...ys) + 0.02)];
  const pad = 0.05 * (x1 - x0) || 1;
  [x0, x1] = [Math.max(0, x0 - pad), x1 + pad];
  if (y1 - y0 < 0.05) [y0, y1] = [Math.max(0, y0 - 0.03), Math.min(1, y1 + 0.03)];
  const x = (v) => MARGIN.left + ((v - x0) / (x1 - x0)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (v) => HEIGHT - MARGIN.bottom - ((v - y0) / (y1 - y0)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  for (const value of ticks(y0, y1)) {
    svg.append(make("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value), class: "grid" }));
    svg.append(make("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  for (const value of ticks(x0, x1, whole))
    svg.append(make("text", { x: x(value), y: HEIGHT - MARGIN.bottom + 16, "text-anchor": "middle" }, String(Math.round(value * 100) / 100)));
  svg.append(make("text", { x: (MARGIN.left + WIDTH - MARGIN.right) / 2, y: HEIGHT - 6, "text-anchor": "middle", class: "title" }, xTitle));
  svg.append(make("text", { x: -(HEIGHT - MARGIN.bottom) / 2, y: 12, "text-anchor": "middle", class: "title", transform: "rotate(-90)" }, yTitle));
  if (band) {
    const up = band.x.map((v, i) => `${x(v)},${y(band.high[i])}`);
    const down = band.x.map((v, i) => `${x(v)},${y(band.low[i])}`).reverse();
    svg.append(make("polygon", { points: [...up, ...down].join(" "), class: "band" }));
    svg.append(make("polyline", { points: band.x.map((v, i) => `${x(v)},${y(band.y[i])}`).join(" "), class: "fit" }));
  } else svg.append(make("polyline", { points: points.map((p) => `${x(p.x)},${y(p.y)}`).join(" "), class: "line" }));
  for (const point of points) {
    if (point.low !== null && point.low !== undefined)
      svg.append(make("line", { x1: x(point.x), x2: x(point.x), y1: y(point.low), y2: y(point.high), class: "whisker" }));
    const dot = make("circle", { cx: x(point.x), cy: y(point.y), r: 5, class: point.mark ? "dot mark" : "dot" });
    dot.append(make("title", {}, point.label));
    svg.append(dot);
  }
  return svg;
}
