"""`cathode-tf analyze`: masks, or a model and micrographs, in; summary, instance tables and a report out."""

from cathode_tf.tools.analyze.verb import command

__all__ = ["command"]
