"""Cathodes with known answers: a seed and parameters in, sections with image, mask, particles and truth out."""

from cathode_tf.synthesis.annotator import annotate
from cathode_tf.synthesis.parameters import Imaging, Parameters
from cathode_tf.synthesis.samples import SyntheticSample, synthesize, write_samples

__all__ = ["Imaging", "Parameters", "SyntheticSample", "annotate", "synthesize", "write_samples"]
