"""Cathodes with known answers: a seed and parameters in; bodies, sections, serial cuts and their truth out."""

from cathode_tf.synthesis.annotator import annotate
from cathode_tf.synthesis.body import Body, Section
from cathode_tf.synthesis.microscope import Imaging
from cathode_tf.synthesis.parameters import Parameters
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
