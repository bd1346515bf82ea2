"""Incremental learning: a project folder, its ledger, and the turns propose, review, train, promote."""

from __future__ import annotations

from cathode_tf.datasets.sheets import read_groups
from cathode_tf.rounds.annotations import record_review
from cathode_tf.rounds.curve import fit_curve
from cathode_tf.rounds.exchange import export_masks, import_masks
from cathode_tf.rounds.intake import add_images, create_project
from cathode_tf.rounds.ledger import Ledger
from cathode_tf.rounds.project import Project
from cathode_tf.rounds.promotion import (
    compare_models,
    evaluate_models,
    knows_default,
    promote,
    rollback,
)
from cathode_tf.rounds.ranking import propose
from cathode_tf.rounds.state import ImageState, ModelState, State
from cathode_tf.rounds.status import project_status
from cathode_tf.rounds.training import train_round

__all__ = [
    "ImageState",
    "Ledger",
    "ModelState",
    "Project",
    "State",
    "add_images",
    "compare_models",
    "create_project",
    "evaluate_models",
    "export_masks",
    "fit_curve",
    "import_masks",
    "knows_default",
    "project_status",
    "promote",
    "propose",
    "read_groups",
    "record_review",
    "rollback",
    "train_round",
]
