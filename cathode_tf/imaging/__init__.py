"""Micrographs and annotations of any origin in; pixels with their scale, and masks of phase ids, out."""

from cathode_tf.imaging.annotations import (
    annotated_images,
    field_width_nm,
    read_annotation,
    read_instances,
)
from cathode_tf.imaging.databar import find_databar, fit_mask_to_cut
from cathode_tf.imaging.exports import write_annotation, write_coco, write_label_studio
from cathode_tf.imaging.folders import find_images, match_masks, natural_key
from cathode_tf.imaging.grey import scale_to_uint16
from cathode_tf.imaging.legends import with_legend
from cathode_tf.imaging.masks import iter_masks, read_mask, write_mask
from cathode_tf.imaging.micrographs import Micrograph, iter_micrographs, read_micrograph
from cathode_tf.imaging.pictures import display, grey_range, overlay, windowed, write_overlay
from cathode_tf.imaging.rasters import MAX_MEGAPIXELS
from cathode_tf.imaging.regions import Region, label_image
from cathode_tf.imaging.rulers import Ruler, find_ruler
from cathode_tf.imaging.stacks import open_stack_masks

__all__ = [
    "MAX_MEGAPIXELS",
    "Micrograph",
    "Region",
    "Ruler",
    "annotated_images",
    "display",
    "field_width_nm",
    "find_databar",
    "find_images",
    "find_ruler",
    "fit_mask_to_cut",
    "grey_range",
    "iter_masks",
    "iter_micrographs",
    "label_image",
    "match_masks",
    "natural_key",
    "open_stack_masks",
    "overlay",
    "read_annotation",
    "read_instances",
    "read_mask",
    "read_micrograph",
    "scale_to_uint16",
    "windowed",
    "with_legend",
    "write_annotation",
    "write_coco",
    "write_label_studio",
    "write_mask",
    "write_overlay",
]
