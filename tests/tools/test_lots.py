"""`cathode-tf lots` as a process engineer uses it; the commands of docs/lots.md run."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from cathode_tf.analysis import analyze
from cathode_tf.phases import Phases
from cathode_tf.tools.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "lots.md"


def run(*words):
    done = CliRunner().invoke(cli, ["lots", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    """The summary of a real analysis, to be given other numbers."""
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :40] = 1
    mask[20:22, 5:30] = 0
    folder = analyze({"a": mask, "b": np.roll(mask, 9, 0)}, Phases.default(), pixel_size_nm=100).write(
        tmp_path_factory.mktemp("base") / "a"
    )
    return json.loads((folder / "summary.json").read_text())


def write(folder, summary, values, random, images=8):
    """A folder as `analyze` writes it, whose images scatter around these means."""
    content = json.loads(json.dumps(summary))
    rows = [{"image": f"img{i}"} for i in range(images)]
    for (quantity, phase, column), (mean, spread) in values.items():
        x = mean + spread * random.normal(size=images)
        u = float(x.std(ddof=1)) / images**0.5
        half = float(stats.t.ppf(0.975, images - 1)) * u
        content["summary"][quantity][phase].update(
            value=float(x.mean()), ci=[float(x.mean() - half), float(x.mean() + half)], n=images, flags={},
            components={"between_images": u},
        )  # fmt: skip
        for row, value in zip(rows, x, strict=True):
            row[column] = float(value)
    content["per_image"] = rows
    content["images"] = [
        {"image": row["image"], "group": "", "mask_sha256": f"{random.integers(1 << 62):064x}"}
        for row in rows
    ]
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(content))


def factory(folder, summary):
    """Twelve lots of five line loads: from the seventh on a new calender, which adds 0.05 per um of cracks."""
    random = np.random.default_rng(5)
    rows = ["lot;date;line load [N/mm];calender;thickness [µm];loading [g/m²];drying [°C]"]
    for k in range(12):
        new, load = k >= 6, (50, 100, 180, 300, 480, 180)[k % 6]
        porosity = 0.24 + 0.16 * np.exp(-load / 150) + 0.004 * random.normal()
        cracks = 0.05 + 0.0002 * load + 0.05 * new + 0.006 * random.normal()
        values = {
            ("fraction", "pore", "fraction_pore"): (porosity, 0.012),
            ("crack_length_density", "ncm", "crack_length_density_ncm_per_um"): (cracks, 0.02),
        }
        write(folder / "analyses" / f"L{k + 1:02d}", summary, values, random)
        numbers = (60 + random.normal(), 200 + 2 * random.normal(), 120 + 5 * random.normal())
        others = ";".join(f"{number:.2f}".replace(".", ",") for number in numbers)
        head, tail = f"L{k + 1:02d};2026-03-{k + 1:02d};{load}", f"{'new' if new else 'old'};{others}"
        rows.append(f"{head};{tail}")
    (folder / "factors.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_a_process_engineer_gets_the_answer_from_twelve_analyses_and_one_table(
    tmp_path, monkeypatch, summary
):
    monkeypatch.chdir(tmp_path)
    factory(tmp_path, summary)
    (commands,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    printed = {}
    for line in commands.strip().splitlines():
        words = shlex.split(line.removeprefix("$ cathode-tf lots "))
        words = [str(p) for word in words for p in (sorted(Path().glob(word)) if "*" in word else [word])]
        printed[" ".join(words[:3])] = run(*words)
    answer = printed["causes plant.db crack_length_density"]
    found = re.search(r"Answer: yes, higher by ([\d.]+) \+- ([\d.]+) 1/um", answer)
    assert float(found[1]) - float(found[2]) < 0.05 < float(found[1]) + float(found[2])
    assert "line_load" in answer
    assert "goes with time" in answer
    assert "this is correlation" in answer
    limit = re.search(r"limit: ([\d.]+) \+- ([\d.]+)", printed["causes plant.db fraction/pore"])
    assert abs(float(limit[1]) - 0.24) < float(limit[2])
    assert "ewma chart" in printed["chart plant.db crack_length_density"]
    assert "Alarms" in Path("lots.html").read_text()


def test_every_verb_says_what_it_did(tmp_path, monkeypatch, summary):
    monkeypatch.chdir(tmp_path)
    factory(tmp_path, summary)
    run("init", "p.db")
    for k in (1, 2, 3):
        folder = f"analyses/L{k:02d}"
        run("add", "p.db", folder, "--lot", f"L{k:02d}", "--sheet", "3", "--position", "4.2m", "--who", "ann",
            "--date", f"2026-03-0{k}", "--set", f"line_load={100 * k}N/mm")  # fmt: skip
    run("add", "p.db", *[f"analyses/L{k:02d}" for k in range(4, 13)])
    assert "12 lots." in run("list", "p.db")
    assert "sheet 3, position 4.2 m" in run("show", "p.db", "L01")
    assert "write-ahead log" in run("show", "p.db")
    assert "Frozen: L01" in run("freeze", "p.db", "fraction/pore", "--first", "8")
    assert "Wrote points.csv" in run("chart", "p.db", "fraction/pore", "--out", "points.csv")
    assert "cpk" in run("capability", "p.db", "fraction/pore", "--lower", "0.2", "--upper", "0.4")
    assert "L02 against L01" in run("compare", "p.db", "L01", "L02", "--margin", "fraction/pore=0.05")
    assert "% of the variance" in run("variance", "p.db", "fraction/pore")
    assert "the newest" in run("bridge", "p.db", "fraction/pore")
    Path("hg.csv").write_text("lot,porosity_hg [%]\n" + "".join(f"L{k:02d},{25 + k}\n" for k in range(1, 13)))
    run("import", "p.db", "hg.csv", "--as", "property")
    assert "bias" in run("agree", "p.db", "fraction/pore", "--with", "porosity_hg")
    Path("cells.csv").write_text(
        "cell,lot,capacity [Ah]\n" + "".join(f"C{k},L{k:02d},{2 + k / 50}\n" for k in range(1, 9))
    )
    assert "8 cells of 8 lots" in run("cells", "p.db", "cells.csv", "--on", "fraction/pore")
    assert "Wrote L01.bpx.json" in run("bpx", "p.db", "L01", "--out", "L01.bpx.json", "--bruggeman", "1.5")
    assert "Wrote a.eln" in run("export", "p.db", "L01", "--eln", "a.eln")
    assert "coating lot: L01" in run("trace", "a.eln", "C1")
    assert "is withdrawn" in run("withdraw", "p.db", "12", "--reason", "scratched")
    assert "11 current analyses" in run("show", "p.db")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "gone.db"], "must be a ledger"),
        (["add", "p.db", "nothing"], "has no summary.json"),
        (["add", "p.db", "a", "b", "--lot", "L1"], "go with one ANALYSIS"),
        (["add", "p.db", "a", "--position", "far"], "--position: must be a length"),
        (["add", "p.db", "a", "--date", "March"], "--date: a date must look like"),
        (["chart", "p.db", "fraction/pore"], "It is none"),
        (["report", "p.db", "--out", "a.html"], "must have an analysis"),
        (["cells", "p.db"], "needs a TABLE"),
        (["next", "p.db", "--target", "x"], "--target: must look like"),
        (["compare", "p.db", "A", "B", "--margin", "x"], "--margin: must look like"),
        (["init", "p.db"], "exists already"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, monkeypatch, words, said):
    from cathode_tf.errors import InputError

    monkeypatch.chdir(tmp_path)
    run("init", "p.db")
    with pytest.raises(InputError, match=said):
        run(*words)
