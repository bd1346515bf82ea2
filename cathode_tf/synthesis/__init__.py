"""Cathodes with known answers: a seed and parameters in, sections with image, mask, particles and truth out."""

from cathode_tf.synthesis.parameters import Parameters
from cathode_tf.synthesis.samples import SyntheticSample, synthesize, write_samples

__all__ = ["Parameters", "SyntheticSample", "synthesize", "write_samples"]
