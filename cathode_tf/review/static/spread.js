// Spread strokes: the whole image follows what was painted by hand, as one step that can be undone.

import { Refused, ask } from "./api.js";
import { question } from "./question.js";
import { decodeMask } from "./runs.js";

const MUCH = 0.01; // of a test image: more than that is not repainted unseen

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// How many strokes stand, and which phases they show.
function evidence(labels, ignore) {
  const strokes = labels.done.filter((stroke) => !stroke.auto && stroke.new.some((id) => id !== ignore)).length;
  const phases = new Set();
  for (let i = 0; i < labels.data.length; i++) if (labels.painted[i]) phases.add(labels.data[i]);
  phases.delete(ignore);
  return { strokes, phases };
}

export async function spread(editor) {
  const { labels, card, outbox, hand } = editor;
  if (!labels || editor.readonly || editor.spreading === labels) return;
  hand.cancel();
  const { strokes, phases } = evidence(labels, editor.project.ignore.id);
  if (!phases.size) return editor.say("Paint a few strokes of each phase first, then spread them.", 5000);
  editor.spreading = labels;
  editor._buttons();
  editor.say("Spreading your strokes …");
  try {
    const message = await follow(editor, labels, card, outbox, strokes);
    // One phase alone is taken, but held to the model: it says little of where the others begin.
    const more = message && phases.size === 1 ? " Strokes of the other phases teach it more." : "";
    if (editor.labels === labels) editor.say(message + more, 10000);
  } catch (error) {
    if (editor.labels !== labels) return;
    if (error instanceof Refused && error.status === 409) editor._taken(error.message);
    const away = "The server is away: your strokes are kept. Spread them again when it is back.";
    editor.say(error instanceof Refused ? error.message : away, 10000);
  } finally {
    if (editor.spreading === labels) editor.spreading = null;
    editor._buttons();
  }
}

// Asks for the mask and takes it over; gives the sentence that says what happened.
async function follow(editor, labels, card, outbox, strokes) {
  await outbox.drain();
  if (!outbox.empty || outbox.closed) throw new Error("away");
  const since = labels.done.length;
  const last = labels.done[since - 1];
  const answer = await ask(`/api/images/${card.key}/spread`, {});
  const mask = decodeMask(answer, labels.data.length);
  while (labels.current) await pause(50); // a stroke in the making is not cut in two
  if (editor.outbox !== outbox || editor.readonly) return "";
  if (labels.done[since - 1] !== last) return "A stroke was undone meanwhile: spread again.";
  if (card.role === "test" && !(await allowed(card, labels.wouldSpread(mask, since) / mask.length))) return "Nothing was repainted: paint the wrong places by hand.";
  if (editor.outbox !== outbox || editor.readonly || labels.done[since - 1] !== last) return "";
  const changed = labels.spread(mask, since);
  editor.spreadAt = performance.now();
  if (!changed) return "Nothing to change: the image follows your strokes already.";
  const share = ((100 * changed) / mask.length).toFixed(1);
  return `The image follows your ${strokes} stroke${strokes > 1 ? "s" : ""}: ${share} % of the pixels changed. Undo: Ctrl+Z.`;
}

// The yardstick is not repainted unseen.
async function allowed(card, share) {
  if (share < MUCH) return true;
  const text = `${card.name} is a test image: every model is measured on this mask. Spreading would repaint ${(100 * share).toFixed(0)} % of it by what a model makes of your strokes. Do that only if you then look at each boundary.`;
  return question(text, "Paint by hand instead", "Repaint, I will look");
}
