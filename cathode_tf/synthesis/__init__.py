"""Cathodes with known answers: a seed and parameters in, bodies, sections and serial cuts with image, mask, particles and truth out."""

from cathode_tf.synthesis.annotator import annotate
from cathode_tf.synthesis.body import Body, Section
from cathode_tf.synthesis.parameters import Imaging, Parameters
from cathode_tf.synthesis.samples import SyntheticSample, synthesize, write_samples
from cathode_tf.synthesis.serial import Cutting, SerialCuts, Slice, synthesize_stack, write_stack

__all__ = [
    "Body",
    "Cutting",
    "Imaging",
    "Parameters",
    "Section",
    "SerialCuts",
    "Slice",
    "SyntheticSample",
    "annotate",
    "synthesize",
    "synthesize_stack",
    "write_samples",
    "write_stack",
]
