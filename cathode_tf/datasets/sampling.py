"""A record set in, batches of raw patches from many images out, in an order that one seed decides.

Decoding is the cost, so an image is decoded once and cut many times. A pool of decoded images lies in memory;
every batch draws from all of it. A set that fits into the memory given is decoded once for all; of a larger
one, images enter the pool in a new random order each round, and leave it when enough was cut from them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np

from cathode_tf.datasets.record_set import RecordSet
from cathode_tf.datasets.schema import check_example, deserialize
from cathode_tf.datasets.standardization import image_statistics, prepared, scale_of
from cathode_tf.datasets.tfrecord import locate_frames, read_message
from cathode_tf.errors import InputError
from cathode_tf.imaging.resampling import Resampling, scale_between
from cathode_tf.phases import IGNORE, Phases

FIRST_IMAGES = 8
"""So many images are decoded before the first batch, if there are as many."""

PATCHES_PER_IMAGE = 64
"""So many patches are cut from an image, on average, before another takes its place."""

_FORCED_SHARE = 1 / 3
_ZOOM = 1.4
_DECODERS = 2
_STEPS_AHEAD = 4


class Batch(NamedTuple):
    """Raw patches.

    Attributes:
        pixels: uint8 or uint16 (batch, patch_px, patch_px), as stored.
        target: uint8 (batch, patch_px, patch_px), class indices; 255 = ignore.
        offset, factor: float32 (batch,): z = (pixels - offset) * factor standardises, by the whole image.
    """

    pixels: np.ndarray
    target: np.ndarray
    offset: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class _Decoded:
    pixels: np.ndarray
    target: np.ndarray
    offset: np.float32
    factor: np.float32
    present: frozenset[int]
    memory: list[_Memory]


class _Memory:
    """An array that is used again for image after image: fresh memory costs more than decoding into it."""

    def __init__(self) -> None:
        self._array = np.empty(0, np.uint8)

    def __call__(self, size: int) -> np.ndarray:
        """At least so many bytes, whatever they hold."""
        if self._array.size < size:
            self._array = np.empty(size, np.uint8)
        return self._array


class _ThreadMemory(threading.local):
    """What a decoding thread needs for a moment."""

    def __init__(self) -> None:
        self.message, self.mask = _Memory(), _Memory()


class PatchSampler:
    """Endless batches of patches from one split; iterating again gives the same batches again.

    Args:
        records: The record set.
        split: Which images.
        patch_px: Height and width of a patch.
        batch: Patches in a batch.
        seed: Decides images, places and turns.
        turns: Flip and turn patches by quarters at random.
        warps: Turn half of the patches by any angle, and zoom them by up to 1.4 either way.
        balanced: A third of the patches, on average, is cut where a phase is that was drawn inversely to its
            share, so that rare phases are seen.
        memory_mb: Decoded images may take so much memory (two images at least are held).
        first_step: Begin with this batch of the endless row, as a training does that goes on.
        pixel_size_nm: Images whose pixel size is known to be another are resampled to this one.
    """

    def __init__(
        self,
        records: RecordSet,
        split: str,
        *,
        patch_px: int,
        batch: int,
        seed: int,
        turns: bool,
        warps: bool = False,
        balanced: bool,
        memory_mb: int,
        first_step: int = 0,
        pixel_size_nm: float | None = None,
    ) -> None:
        for name, value in (("patch_px", patch_px), ("batch", batch), ("memory_mb", memory_mb)):
            if value < 1:
                raise InputError(f"{name}: must be at least 1. Received {value}.")
        rows = records.rows_of(split)
        if not rows:
            next(records.examples(split))
        counts = np.sum([row.counts for row in rows], axis=0, dtype=float)
        if not counts[:-1].any():
            raise InputError(f"{records.path}: {split!r} must hold labelled pixels. All are ignored (255).")
        self.phases: Phases = records.phases
        self._written = records.written_phases
        self.patch_px, self.batch, self.seed = patch_px, batch, seed
        self.turns, self.warps, self.balanced, self.first_step = turns, warps, balanced, first_step
        self._indices = self.phases.to_indices(np.arange(256, dtype=np.uint8))
        self._indices[[phase.id for phase in records.skipped]] = IGNORE
        self._places = [(path, *place) for path in records.shards(split) for place in locate_frames(path)]
        self._capacity = memory_mb << 20
        pixel_bytes = np.dtype(records.metadata["image_dtype"]).itemsize + 1
        self._scales = [scale_between(row.pixel_size_nm, pixel_size_nm, row.id) for row in rows]
        self._bytes = [
            pixel_bytes * max(round(row.height * scale), patch_px) * max(round(row.width * scale), patch_px)
            for row, scale in zip(rows, self._scales, strict=True)
        ]
        self.fits = sum(self._bytes) <= self._capacity
        self._scratch = _ThreadMemory()
        rarity = np.divide(1.0, counts[:-1], out=np.zeros(len(counts) - 1), where=counts[:-1] > 0)
        self._rarity = rarity / rarity.sum()

    def __iter__(self) -> Iterator[Batch]:
        pool: deque[_Decoded] = deque()
        spare: list[_Memory] = []  # of images that left
        with ThreadPoolExecutor(_DECODERS) as threads:
            changes = self._changes()
            waiting: deque[tuple[list[Future[_Decoded]], int]] = deque()
            for step in count(self.first_step):
                while len(waiting) < _STEPS_AHEAD:
                    entering, leaving = next(changes)
                    waiting.append(
                        ([threads.submit(self._decode, place, spare) for place in entering], leaving)
                    )
                futures, leaving = waiting.popleft()
                pool.extend(future.result() for future in futures)
                for _ in range(leaving):
                    spare += pool.popleft().memory
                yield self._cut_batch(pool, np.random.default_rng([self.seed, 0, step]))

    def _changes(self) -> Iterator[tuple[list[int], int]]:
        """For each batch from `first_step` on, which images enter the pool and how many, the oldest, leave it."""
        pool: deque[int] = deque()
        for step, (entering, leaving) in enumerate(self._all_changes()):
            if step >= self.first_step:
                yield [*pool, *entering], leaving
                pool.clear()
            else:
                pool.extend(entering)
                for _ in range(leaving):
                    pool.popleft()

    def _all_changes(self) -> Iterator[tuple[list[int], int]]:
        order = self._order()
        held: deque[int] = deque()
        credit, full = float(min(FIRST_IMAGES, len(self._bytes))), False
        while True:
            entering, leaving = [], 0
            while credit >= 1 and (place := next(order, None)) is not None:
                credit -= 1
                entering.append(place)
                held.append(self._bytes[place])
                while full and sum(held) > self._capacity and len(held) > 2:
                    held.popleft()
                    leaving += 1
                if not full and sum(held) > self._capacity:
                    full, credit = True, 0.0
            yield entering, leaving
            # Until the pool is full, an image more for each batch; then one for one that is used up.
            credit += self.batch / PATCHES_PER_IMAGE if full else 1

    def _order(self) -> Iterator[int]:
        """Images in a new random order each round; one round only if all fit into memory."""
        rng = np.random.default_rng([self.seed, 1])
        while True:
            yield from rng.permutation(len(self._bytes)).tolist()
            if self.fits:
                return

    def _decode(self, place: int, spare: list[_Memory]) -> _Decoded:
        path, position, length = self._places[place]
        message = self._scratch.message(length)[:length]
        read_message(path, position, message)
        memory = [_recycled(spare), _recycled(spare)]
        example, _, _ = deserialize(
            message.data,
            path,
            image_memory=memory[0],
            mask_memory=self._scratch.mask,
            with_instances=False,
        )
        counts = check_example(example, self._written, f"{path}, {example.id!r}")
        pixels, scale = example.image, self._scales[place]
        if scale != 1.0:
            pixels = Resampling(pixels.shape, scale)(pixels)
        pixels = prepared(pixels)
        offset, factor = scale_of(*image_statistics(pixels))
        target = memory[1](example.mask.size)[: example.mask.size].reshape(example.mask.shape)
        cv2.LUT(example.mask, self._indices, dst=target)
        present = frozenset(np.flatnonzero(counts[: len(self.phases)]).tolist())
        if scale != 1.0:
            target = Resampling(target.shape, scale).labels(target)
            present &= frozenset(np.unique(target).tolist())
        pixels, target = _pad(pixels, target, self.patch_px)
        return _Decoded(pixels, target, offset, factor, present, memory)

    def _cut_batch(self, pool: deque[_Decoded], rng: np.random.Generator) -> Batch:
        shape = (self.batch, self.patch_px, self.patch_px)
        out = Batch(
            np.empty(shape, pool[0].pixels.dtype),
            np.empty(shape, np.uint8),
            np.empty(self.batch, np.float32),
            np.empty(self.batch, np.float32),
        )
        labelled = [image for image in pool if image.present] or list(pool)
        for index in range(self.batch):
            image, row, column = self._place(labelled, rng)
            if self.warps and rng.random() < 0.5:
                pixels, target = _warp(image, row, column, self.patch_px, rng)
            else:
                window = np.s_[row : row + self.patch_px, column : column + self.patch_px]
                pixels, target = image.pixels[window], image.target[window]
            turn = int(rng.integers(8)) if self.turns else 0
            _turn(pixels, turn, out.pixels[index])
            _turn(target, turn, out.target[index])
            out.offset[index], out.factor[index] = image.offset, image.factor
        return out

    def _place(self, images: list[_Decoded], rng: np.random.Generator) -> tuple[_Decoded, int, int]:
        if self.balanced and rng.random() < _FORCED_SHARE:
            phase = int(rng.choice(len(self._rarity), p=self._rarity))
            having = [image for image in images if phase in image.present]
            if having:
                image = having[rng.integers(len(having))]
                return image, *self._around(image, _find(image.target, phase, rng), rng)
        image = images[rng.integers(len(images))]
        for _ in range(10):
            row = int(rng.integers(image.target.shape[0] - self.patch_px + 1))
            column = int(rng.integers(image.target.shape[1] - self.patch_px + 1))
            window = image.target[row : row + self.patch_px, column : column + self.patch_px]
            if not image.present or (window != IGNORE).any():
                return image, row, column
        # Little of this image is labelled: go where something is.
        phase = int(rng.choice(sorted(image.present)))
        return image, *self._around(image, _find(image.target, phase, rng), rng)

    def _around(self, image: _Decoded, pixel: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
        """Corner of a random patch that holds the pixel."""
        corner = []
        for position, size in zip(pixel, image.target.shape, strict=True):
            first = max(0, position - self.patch_px + 1)
            last = min(position, size - self.patch_px)
            corner.append(int(rng.integers(first, last + 1)))
        return corner[0], corner[1]


def _recycled(spare: list[_Memory]) -> _Memory:
    try:
        return spare.pop()
    except IndexError:
        return _Memory()


def _find(target: np.ndarray, phase: int, rng: np.random.Generator) -> tuple[int, int]:
    """A random pixel of the phase, which the image has."""
    flat = target.ravel()
    tries = rng.integers(flat.size, size=512)
    hits = tries[flat[tries] == phase]
    position = hits[0] if len(hits) else rng.choice(np.flatnonzero(flat == phase))
    row, column = divmod(int(position), target.shape[1])
    return row, column


def _pad(pixels: np.ndarray, target: np.ndarray, patch_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Images smaller than a patch are mirrored to its size; what was added is ignored."""
    missing = [max(0, patch_px - size) for size in pixels.shape]
    if not any(missing):
        return pixels, target
    widths = [(m // 2, m - m // 2) for m in missing]
    return np.pad(pixels, widths, "symmetric"), np.pad(target, widths, constant_values=IGNORE)


def _warp(
    image: _Decoded, row: int, column: int, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The patch at a corner, turned about its middle by any angle and zoomed; what lies outside is ignored."""
    zoom = float(np.exp(rng.uniform(-1, 1) * np.log(_ZOOM)))
    angle = float(rng.uniform(-np.pi, np.pi))
    # Only what the patch can reach: OpenCV warps no image of more than 32767 px.
    reach = int(np.ceil(side * _ZOOM * np.sqrt(0.5))) + 1
    top, left = max(row + side // 2 - reach, 0), max(column + side // 2 - reach, 0)
    around = np.s_[top : row + side // 2 + reach, left : column + side // 2 + reach]
    cosine, sine, middle = np.cos(angle) / zoom, np.sin(angle) / zoom, (side - 1) / 2
    x, y = column - left + middle, row - top + middle
    matrix = np.array(
        [
            [cosine, -sine, x - (cosine - sine) * middle],
            [sine, cosine, y - (sine + cosine) * middle],
        ]
    )
    size, inverse = (side, side), cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(
        image.pixels[around],
        matrix,
        size,
        flags=cv2.INTER_LINEAR | inverse,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    target = cv2.warpAffine(
        image.target[around],
        matrix,
        size,
        flags=cv2.INTER_NEAREST | inverse,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=IGNORE,
    )
    return pixels, target


def _turn(patch: np.ndarray, turn: int, out: np.ndarray) -> None:
    """Write one of the eight turns and flips of a square; OpenCV does this five times as fast as numpy."""
    if turn & 4:
        patch = cv2.transpose(patch)
    if turn & 3:
        cv2.flip(patch, (-1, 0, 1)[(turn & 3) - 1], dst=out)
    else:
        out[:] = patch
