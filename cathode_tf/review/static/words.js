// Sentences that say what a word means, wherever it stands.

export const YARDSTICK = "A test image is the yardstick: no model learns from it, every model is measured on it, so your own correct mask of it tells whether training helped.";

export const UNSURE = "Unsure: how undecided the model is, averaged over the pixels; 0 % is sure of each, 100 % cannot tell the phases apart. It is no rate of errors: random points that are labelled (Report) tell that.";
