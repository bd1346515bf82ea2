"""A reconstruction and its raw slices in; one self-contained page (steps, cuts) and a flight through it, out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cathode_tf.imaging.volumes import Volume, open_volume
from cathode_tf.reporting.figures import axes, picture_data, svg
from cathode_tf.reporting.page import Drawing, Page, Picture, Section, Table, write_page
from cathode_tf.reporting.trust import stack_of, trust_section
from cathode_tf.tomography import Reconstruction
from cathode_tf.tomography.slices import Stack
from cathode_tf.tomography.transforms import Transforms
from cathode_tf.volumes.trust import Trust

FLIGHT_SLICES = 60
FLIGHT_PX = 480
"""The flight shows so many slices, of so many pixels, at most: a page must open on a telephone."""

TITLES = {
    "read": "Slices",
    "tilt": "Tilt and scale",
    "align": "Alignment",
    "crop": "Common field",
    "curtains": "Curtains",
    "background": "Background",
    "brightness": "Brightness",
    "thickness": "Thickness",
    "isotropic": "Cubes",
}


def write_reconstruction_report(
    made: Reconstruction,
    slices: Sequence[str | Path],
    path: str | Path,
    *,
    trust: Trust | None = None,
    force: bool = False,
) -> Path:
    """Write the page of a reconstruction.

    Args:
        made: What `reconstruct` returned.
        slices: The raw slices that it was given.
        path: The HTML file; it needs nothing beside it and no network.
        trust: Of `reconstruction_trust`; its table then stands in the page.
        force: Replace an existing file.
    """
    volume = open_volume(made.path)
    stack = stack_of(made, slices)
    z, y, x = made.shape
    edges = " x ".join("unknown" if edge is None else f"{edge:.4g}" for edge in made.voxel_nm)
    page = Page(
        "Reconstruction",
        f"{z} x {y} x {x} voxels (z, y, x) of {edges} nm from {len(stack)} slices.",
        notes=list(made.warnings),
        sections=[
            _steps(made),
            *([] if trust is None else [trust_section(trust)]),
            *_looks(made, volume),
            *_drift(made),
            *_before_after(made, stack),
        ],
    )
    return write_page(page, path, force=force)


def orthogonal_cuts(volume: Volume) -> dict[str, np.ndarray]:
    """The middle cuts of a volume across z, y and x, in its own grey levels, without holding it."""
    depth, height, width = volume.shape
    middle, rows, columns = np.zeros((0, 0)), [], []
    for index, pixels in enumerate(volume.slices()):
        if index == depth // 2:
            middle = np.array(pixels)
        rows.append(np.array(pixels[height // 2]))
        columns.append(np.array(pixels[:, width // 2]))
    return {"xy": middle, "xz": np.array(rows), "yz": np.array(columns).T}


def flight(pictures: Sequence[np.ndarray], title: str) -> str:
    """An HTML page of its own that flies through pictures: play, stop, or drag. uint8 (height, width[, 3]) each."""
    frames = ",".join(f'"{_data(picture)}"' for picture in pictures)
    height, width = pictures[0].shape[:2]
    return (
        _FLIGHT.replace("%TITLE%", title)
        .replace("%FRAMES%", frames)
        .replace("%RATIO%", f"{width} / {height}")
    )


_FLIGHT = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>%TITLE%</title>
<style>body{margin:0;font:16px system-ui,sans-serif;color:#23303d;background:#fff}
main{max-width:40rem;margin:0 auto;padding:.75rem}
img{width:100%;aspect-ratio:%RATIO%;display:block;border-radius:.25rem;background:#eee}
.row{display:flex;gap:.6rem;align-items:center;margin-top:.6rem}
input{flex:1;min-width:0;height:2rem}button{font:inherit;padding:.4rem .9rem}output{min-width:4.5rem}</style>
<main><img id="p" alt="%TITLE%"><div class="row"><button id="b" type="button">Play</button>
<input id="s" type="range" min="0" value="0" aria-label="Slice"><output id="o"></output></div></main>
<script>const f=[%FRAMES%],p=document.getElementById("p"),s=document.getElementById("s"),
o=document.getElementById("o"),b=document.getElementById("b");let t=0;s.max=f.length-1;
function show(){p.src=f[s.value];o.textContent=(+s.value+1)+" / "+f.length}
s.oninput=show;b.onclick=()=>{if(t){clearInterval(t);t=0;b.textContent="Play"}else{b.textContent="Stop";
t=setInterval(()=>{s.value=(+s.value+1)%f.length;show()},120)}};show();</script></html>"""


def _data(picture: np.ndarray) -> str:
    _, encoded = cv2.imencode(
        ".webp", picture[..., ::-1] if picture.ndim == 3 else picture, [cv2.IMWRITE_WEBP_QUALITY, 70]
    )
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def write_flight(volume: Volume, path: str | Path, *, force: bool = False) -> Path:
    """Write the flight through a grey volume as one HTML file that needs no network."""
    from cathode_tf.files import atomic_file

    with atomic_file(path, force=force) as temporary:
        temporary.write_text(flight(_frames(volume), "Through the volume"), encoding="utf-8")
    return Path(path)


def _frames(volume: Volume) -> list[np.ndarray]:
    every = max(1, -(-volume.shape[0] // FLIGHT_SLICES))
    scale = min(1.0, FLIGHT_PX / max(volume.shape[1:]))
    kept = [
        cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for index, pixels in enumerate(volume.slices())
        if index % every == 0
    ]
    low, high = _range(np.array(kept))
    return [_shown(pixels, low, high) for pixels in kept]


def _range(pixels: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(pixels[..., ::2, ::2], (0.2, 99.8))
    return float(low), max(float(high), float(low) + 1)


def _shown(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)


def _picture(pixels: np.ndarray, low: float, high: float, size: float | None = None) -> str:
    return picture_data(_shown(pixels, low, high)[..., None].repeat(3, -1), None, size)


def _steps(made: Reconstruction) -> Section:
    rows = [[TITLES.get(step, step), text] for step, text in made.steps.items()]
    return Section("What was done", tables=[Table(["step", "what it did"], rows)], open=True)


def _drift(made: Reconstruction) -> list[Section]:
    """How far each slice was moved back."""
    shift = np.array([entry["shift_px"] for entry in made.record["slices"] if "shift_px" in entry], float)
    gain = np.array([entry["gain"] for entry in made.record["slices"] if "gain" in entry], float)
    drawings = []
    if np.any(shift):
        figure, axis = axes()
        for column, name in ((0, "rows"), (1, "columns")):
            axis.plot(np.arange(1, len(shift) + 1), shift[:, column], label=name, lw=1.5)
        axis.set_xlabel("slice")
        axis.set_ylabel("displacement, px")
        axis.legend(frameon=False)
        drawings.append(Drawing(svg(figure), "By how much each slice was displaced, and is moved back."))
    if np.any(gain != 1):
        figure, axis = axes(height=2.2)
        axis.plot(np.arange(1, len(gain) + 1), gain, lw=1.5)
        axis.set_xlabel("slice")
        axis.set_ylabel("gain")
        drawings.append(Drawing(svg(figure), "Factor by which each slice is made brighter."))
    return [Section("Slice by slice", drawings=drawings)] if drawings else []


def _before_after(made: Reconstruction, stack: Stack) -> list[Section]:
    """Three slices before and after each step that changed them, and what was taken away."""
    entries: list[dict[str, Any]] = [entry for entry in made.record["slices"] if "file" in entry]
    transforms = Transforms.from_dict(made.record["transforms"], entries)
    pictures = []
    for index in sorted({0, len(stack) // 2, len(stack) - 1}):
        raw = stack.read(index)
        stages = transforms.stages(raw, index)
        low, high = _range(raw)
        pictures.append(Picture(_picture(raw, low, high), f"Slice {index + 1}, raw."))
        before, name = stages["align"], "aligned"
        pictures.append(Picture(_picture(before, low, high), f"Slice {index + 1}, stretched and aligned."))
        for step in ("curtains", "background", "brightness"):
            after = stages[step]
            if after is not before:
                gone = before - after
                reach = max(float(np.percentile(np.abs(gone), 99.5)), 1.0)
                pictures.append(
                    Picture(
                        _picture(gone, -reach, reach),
                        f"Slice {index + 1}: what {step} took away (-{reach:.0f} to {reach:.0f} grey levels).",
                    )
                )
                before, name = after, step
        if name != "aligned":
            pictures.append(Picture(_picture(before, low, high), f"Slice {index + 1}, after all steps."))
    return [Section("Three slices, step by step", pictures=pictures)]


def _looks(made: Reconstruction, volume: Volume) -> list[Section]:
    z, y, x = made.voxel_nm
    cuts = orthogonal_cuts(volume)
    panel = _shown(_side_by_side(cuts, z / x if z and x else 1.0), *_range(cuts["xy"]))
    picture = picture_data(panel[..., None].repeat(3, -1), None, x if x == y else None)
    caption = "The middle slice (xy), the cut yz to its right and xz below it, "
    caption += "in true proportions." if z and x else "slices as far apart as pixels."
    return [Section("Cuts", pictures=[Picture(picture, caption)], open=True, wide=True)]


def _side_by_side(cuts: dict[str, np.ndarray], tall: float) -> np.ndarray:
    """The three cuts as one picture, planes `tall` pixels apart; float32, white (inf) between them."""
    xy, xz, yz = (cuts[name].astype(np.float32) for name in ("xy", "xz", "yz"))
    depth = max(1, round(len(xz) * tall))
    height, width = xy.shape
    gap = max(4, min(height, width) // 60)
    panel = np.full((height + gap + depth, width + gap + depth), np.inf, np.float32)
    panel[:height, :width] = xy
    panel[:height, width + gap :] = cv2.resize(yz, (depth, height), interpolation=cv2.INTER_LINEAR)
    panel[height + gap :, :width] = cv2.resize(xz, (width, depth), interpolation=cv2.INTER_LINEAR)
    return panel
