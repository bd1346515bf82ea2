"""How fast images become records and records become batches, as ratios to bare tools in the same run.

    python benchmarks/records.py conversion
    python benchmarks/records.py memory
    python benchmarks/records.py reading --torch /path/to/python-with-torch-and-opencv

Each prints a markdown table; the one measured stands in `benchmarks/records.md`. The input is made on the spot:
images of 2048 x 1536 pixels with PNG masks, four synthetic sections moved sideways at random. For conversion they are
TIFFs without compression, as microscopes save them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH, PATCH, BATCH, PER_IMAGE = 1536, 2048, 256, 16, 64


def make_images(folder: Path, count: int, suffix: str = ".tif") -> None:
    """`count` images and masks that differ, from four sections moved sideways around the edge."""
    import tifffile

    from cathode_tf import synthesize

    sections = list(synthesize(4, seed=5, height=HEIGHT, width=WIDTH))
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        section, shift = sections[index % 4], int(rng.integers(WIDTH))
        image, mask = (np.roll(array, shift, axis=1) for array in (section.image, section.mask))
        path = folder / "images" / f"s{index:04d}{suffix}"
        tifffile.imwrite(path, image) if suffix == ".tif" else cv2.imwrite(str(path), image)
        cv2.imwrite(str(folder / "masks" / f"s{index:04d}.png"), mask)


def read_pairs(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for path in sorted((folder / "images").iterdir()):
        yield cv2.imread(str(path), -1), cv2.imread(str(folder / "masks" / f"{path.stem}.png"), -1)


def convert_command(folder: Path, out: Path, jobs: int) -> list[str]:
    code = "import sys; from cathode_tf.tools.main import main; main(sys.argv[1:])"
    arguments = ["convert", folder / "images", folder / "masks", "--out", out, "--jobs", jobs]
    return [sys.executable, "-c", code, *map(str, arguments)]


def conversion(folder: Path, count: int, rounds: int) -> None:
    """Whole commands, start of Python included, against OpenCV's PNG encoder on pixels in memory."""
    cv2.setNumThreads(1)
    make_images(folder, count)

    def encode() -> tuple[float, float]:
        clock = processor = 0.0
        for image, mask in read_pairs(folder):
            clock -= time.perf_counter()
            processor -= time.process_time()
            cv2.imencode(".png", image)
            cv2.imencode(".png", mask)
            clock += time.perf_counter()
            processor += time.process_time()
        return clock, processor

    def run(jobs: int) -> tuple[float, float]:
        out = folder / f"set{jobs}"
        shutil.rmtree(out, ignore_errors=True)
        start, spent = time.perf_counter(), sum(os.times()[2:4])  # of children
        subprocess.run(convert_command(folder, out, jobs), check=True, stdout=-3, stderr=-3)
        return time.perf_counter() - start, sum(os.times()[2:4]) - spent

    # Interleaved, and the best of the rounds: what else the machine does can only add.
    times = np.array([(encode(), run(1), run(2)) for _ in range(rounds)])
    best = times.min(axis=0)
    print(f"{count} images of {WIDTH} x {HEIGHT}, best of {rounds} rounds\n")
    print("| | s | throughput to encoder | processor s | throughput to encoder by processor time |")
    print("|---|---|---|---|---|")
    ways = ("bare PNG encoder (OpenCV), image and mask", "convert --jobs 1", "convert --jobs 2")
    for name, (clock, processor) in zip(ways, best, strict=True):
        ratios = best[0] / (clock, processor)
        # The processor time of workers goes to their fork server, and is lost with it.
        own = " | " if name.endswith("2") else f"{processor:.1f} | {ratios[1]:.2f}"
        print(f"| {name} | {clock:.1f} | {ratios[0]:.2f} | {own} |")
    rounds_ratios = times[:, 1, 0] / times[:, 2, 0]
    print(f"\nTwo processes to one, median of the rounds: {np.median(rounds_ratios):.2f}")
    print(f"Of each round: {', '.join(f'{ratio:.2f}' for ratio in rounds_ratios)}")


def largest_process_mb(command: list[str]) -> int:
    """Peak resident size of the largest process that the command has running at any time (Linux).

    Workers are children of a fork server, so that no resource usage of children tells of them.
    """
    main = subprocess.Popen(command, stdout=-3, stderr=-3, start_new_session=True)
    peak = 0
    while main.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(folder.name)) == main.pid:
                    status = (folder / "status").read_text()
                    peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]))
            except (OSError, IndexError):  # it has ended
                continue
        time.sleep(0.05)
    assert main.returncode == 0, command
    return peak // 1024


def memory(folder: Path, counts: tuple[int, ...]) -> None:
    """Largest resident size of any process of the conversion."""
    print("| images | convert --jobs 1, largest process (MB) | convert --jobs 2, largest process (MB) |")
    print("|---|---|---|")
    for count in counts:
        make_images(folder / str(count), count)
        peaks = []
        for jobs in (1, 2):
            out = folder / str(count) / f"set{jobs}"
            peaks.append(largest_process_mb(convert_command(folder / str(count), out, jobs)))
        print(f"| {count} | {peaks[0]} | {peaks[1]} |")
        shutil.rmtree(folder / str(count))


def reading(folder: Path, count: int, patches: int, rounds: int, torch: str | None) -> None:
    """Patches per second after the first batch, and the time to the first batch."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow  # noqa: F401  (its import is not part of the first batch)

    import cathode_tf

    make_images(folder, count, ".png")
    path = cathode_tf.convert(
        folder / "images",
        folder / "masks",
        out=folder / "set",
        phases=cathode_tf.Phases.default(),
        split="1/0/0",
    )

    def ours(**options) -> Iterator[object]:
        return iter(cathode_tf.patches(cathode_tf.open_records(path), patch_px=PATCH, batch=BATCH, **options))

    def data_loader() -> tuple[float, ...]:
        command = [str(torch), __file__, "dataloader", "--folder", str(folder), "--patches", str(patches)]
        return tuple(
            map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        )

    ways: dict[str, Callable[[], tuple[float, ...]]] = {
        "patches, set in memory": lambda: measure(lambda: ours(augment=False), patches),
        "patches, memory_mb=64: decoded anew every 64 patches": lambda: measure(
            lambda: ours(augment=False, memory_mb=64), patches
        ),
        "patches, set in memory, augmented": lambda: measure(ours, patches),
        "plain tf.data: decode, 64 random crops, shuffle": lambda: measure(
            lambda: plain_tfdata(path), patches
        ),
    }
    if torch:
        ways["PyTorch DataLoader, 2 workers, OpenCV, 64 patches an image"] = data_loader
    # Interleaved, and the best of the rounds: what else the machine does can only take away.
    runs = np.array([[way() for way in ways.values()] for _ in range(rounds)])
    rows = [(name, *runs[:, k, :2].max(axis=0), runs[0, k, 2]) for k, name in enumerate(ways)]
    base = rows[-1][1:3] if torch else None
    print(
        f"{count} images of {WIDTH} x {HEIGHT}, batches of {BATCH} x {PATCH} x {PATCH}, best of {rounds} rounds\n"
    )
    print(
        "| | patches/s | to DataLoader | patches per s of processor time | to DataLoader | first batch (s) |"
    )
    print("|---|---|---|---|---|---|")
    for name, *rates, first in rows:  # the first batch is that of the first round
        cells = [f"{rate:.0f} | {f'{rate / base[k]:.1f}' if base else '-'}" for k, rate in enumerate(rates)]
        print(f"| {name} | {' | '.join(cells)} | {first:.1f} |")


def measure(make: Callable[[], Iterator[object]], patches: int) -> tuple[float, float, float]:
    """Patches per second, patches per second of processor time (with child processes), seconds to the first batch."""
    start = time.perf_counter()
    batches = make()
    next(batches)
    first = time.perf_counter() - start
    for _ in range(10):
        next(batches)
    start, spent = time.perf_counter(), processor_seconds()
    for _ in range(patches // BATCH):
        next(batches)
    return patches / (time.perf_counter() - start), patches / (processor_seconds() - spent), first


def processor_seconds() -> float:
    """Of this process and its living children (Linux)."""
    total = time.process_time()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def plain_tfdata(path: Path) -> Iterator[object]:
    """What one would write with tensorflow-datasets and tf.data alone."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def cut(example):
        image, mask = example["image"], example["segmentation_mask"]
        wide = tf.cast(image, tf.float32)
        wide = (wide - tf.reduce_mean(wide)) / tf.math.reduce_std(wide)
        rows = tf.random.uniform((PER_IMAGE,), 0, HEIGHT - PATCH, tf.int32)
        columns = tf.random.uniform((PER_IMAGE,), 0, WIDTH - PATCH, tf.int32)

        def crop(corner):
            window = (corner[0], corner[1], PATCH, PATCH)
            return tf.image.crop_to_bounding_box(wide, *window), tf.image.crop_to_bounding_box(mask, *window)

        return tf.data.Dataset.from_tensor_slices(tf.stack([rows, columns], 1)).map(crop)

    data = tfds.builder_from_directory(path).as_dataset(split="train").repeat()
    data = data.interleave(cut, cycle_length=4, num_parallel_calls=2)
    return iter(data.shuffle(512).batch(BATCH).prefetch(4))


def dataloader(folder: Path, patches: int) -> None:
    """The same patches by PyTorch, from the PNG files; prints patches per second and seconds to the first batch."""
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    class Patches(IterableDataset):
        def __iter__(self):
            cv2.setNumThreads(1)
            rng = np.random.default_rng(get_worker_info().id)
            files = sorted((folder / "images").iterdir())
            while True:
                path = files[rng.integers(len(files))]
                image = cv2.imread(str(path), -1)
                mask = cv2.imread(str(folder / "masks" / path.name), -1)
                mean, std = np.float32(image.mean()), np.float32(image.std())
                for _ in range(PER_IMAGE):
                    row, column = int(rng.integers(HEIGHT - PATCH)), int(rng.integers(WIDTH - PATCH))
                    window = np.s_[row : row + PATCH, column : column + PATCH]
                    yield (image[window].astype(np.float32) - mean) / std, mask[window]

    rates = measure(lambda: iter(DataLoader(Patches(), batch_size=BATCH, num_workers=2)), patches)
    print(*rates)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["conversion", "memory", "reading", "dataloader"])
    parser.add_argument("--count", type=int, help="images [default: 200, for reading 48]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patches", type=int, default=6_400, help="measured for each way and round")
    parser.add_argument("--torch", help="a Python with torch and opencv")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.what == "dataloader":
        dataloader(options.folder, options.patches)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.what == "conversion":
            conversion(folder, options.count or 200, options.rounds)
        elif options.what == "memory":
            memory(folder, (50, 200) if options.count is None else (options.count,))
        else:
            reading(folder, options.count or 48, options.patches, options.rounds, options.torch)


if __name__ == "__main__":
    main()
