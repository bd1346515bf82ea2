"""From the lot to the cell, to a cell model, to a laboratory notebook, to a page."""

import hashlib
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from cathode_tf.errors import InputError
from cathode_tf.lots.bpx import bpx_fragment, write_fragment
from cathode_tf.lots.cells import cell_metrics, enter_cells, read_cells, regress
from cathode_tf.lots.passport import write_passport
from cathode_tf.lots.report import write_lots_report
from cathode_tf.lots.settings import Setting
from cathode_tf.lots.tracing import trace


def measured(plant, count=8):
    random = np.random.default_rng(0)
    for k in range(count):
        plant.lot(
            f"L{k}",
            {
                "fraction/pore": (0.25 + 0.02 * k + 0.003 * random.normal(size=6)).tolist(),
                "fraction/ncm": (0.60 - 0.02 * k + 0.003 * random.normal(size=6)).tolist(),
                "crack_length_density/ncm": (0.1 + 0.01 * k + 0.002 * random.normal(size=6)).tolist(),
                "x50_3/ncm": (9 + 0.1 * random.normal(size=6)).tolist(),
            },
            settings={"thickness": 60 + k, "line_load": 400 - 40 * k},
            day=f"2026-01-{k + 1:02d}",
        )


def test_a_row_a_cell(plant, tmp_path):
    measured(plant)
    path = tmp_path / "cells.csv"
    rows = ["cell;lot;Discharging Capacity / Ah;Capacity Retention"]
    for k in range(8):
        rows += [
            f"C{k}{c};L{k};{2 + 0.05 * k + d:.3f};0,9".replace(".", ",")
            for c, d in (("a", 0.01), ("b", -0.01))
        ]
    path.write_text("\n".join(rows))
    assert enter_cells(plant.ledger, read_cells(path), path) == 32
    assert enter_cells(plant.ledger, read_cells(path), path) == 0
    found = regress(plant.ledger, "discharging_capacity", "fraction/pore")
    # 0.05 Ah for 0.02 of porosity.
    assert found.slope.ci[0] < 2.5 < found.slope.ci[1]
    assert found.slope.unit == "Ah"
    assert (found.lots, found.cells, found.images) == (8, 16, 48)
    assert found.r2 > 0.95
    assert found.reliability > 0.95
    assert "16 cells of 8 lots, 48 images" in found.sentence
    changed = tmp_path / "changed.csv"
    changed.write_text("cell,lot,Discharging Capacity / Ah\nC0a,L0,1.5\n")
    with pytest.raises(InputError, match=r"is 2.01 in the ledger. Received 1.5"):
        enter_cells(plant.ledger, read_cells(changed), changed)
    enter_cells(plant.ledger, read_cells(changed), changed, supersede=True)
    table = cell_metrics(plant.ledger, "discharging_capacity").set_index("cell")
    assert table.loc["C0a", "value"] == 1.5
    with pytest.raises(InputError, match=r"must be a metric of cells"):
        regress(plant.ledger, "colour", "fraction/pore")


def record():
    """Three cycles: at C/10 2.0 Ah, at 2C 1.5 Ah, at C/10 1.8 Ah."""
    rows = []
    for cycle, current, capacity in ((1, 0.2, 2.0), (2, 4.0, 1.5), (3, 0.2, 1.8)):
        rows += [(cycle, current, 0.0, 0.05)] + [(cycle, -current, capacity * s, 0.05) for s in (0.5, 1.0)]
    return pd.DataFrame(
        rows,
        columns=["Cycle Count / 1", "Current / A", "Discharging Capacity / Ah", "Internal Resistance / ohm"],
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_record_of_one_cell(tmp_path, kind):
    path = tmp_path / f"c.bdf.{kind}"
    if kind == "csv":
        record().to_csv(path, index=False)
    else:
        record().to_parquet(path)
    (row,) = read_cells(path, cell="C7", lot="L1")
    values = {name: value for name, (value, _) in row.metrics.items()}
    assert values["discharging_capacity"] == pytest.approx(2.0)
    assert values["capacity_retention"] == pytest.approx(0.9)
    assert values["rate_capability"] == pytest.approx(0.75)
    assert values["internal_resistance"] == pytest.approx(0.05)
    with pytest.raises(InputError, match=r"Say which: --cell"):
        read_cells(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cell,capacity\nC1,2\n", "lot is missing"),
        ("cell,lot,capacity\nC1,,2\n", "Line 2 does not"),
        ("cell,lot,capacity\nC1,L0,x\n", "column capacity must hold numbers. Line 2"),
        ("cell,lot,capacity\nC1,L0,2\nC1,L0,3\n", "C1 stands in several"),
        ("cell,lot,capacity\nC1,L99,2\n", "L99 is not"),
    ],
)
def test_cells_that_cannot_be_right_are_said(plant, tmp_path, text, words):
    measured(plant, 1)
    path = tmp_path / "cells.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        enter_cells(plant.ledger, read_cells(path), path)


def test_a_bpx_fragment_is_valid_and_has_intervals_and_definitions_beside_it(plant, tmp_path):
    bpx = pytest.importorskip("bpx")
    measured(plant, 1)
    surface = {
        "fraction/pore": [0.30, 0.31, 0.32], "fraction/ncm": [0.58, 0.60, 0.62], "x50_3/ncm": [9.9, 10, 10.1],
        "surface_density/ncm": [0.35, 0.36, 0.37], "tortuosity_factor/pore": [1.9, 2.0, 2.1],
    }  # fmt: skip
    plant.lot("B", surface, settings={"thickness": 62})
    fragment = bpx_fragment(plant.ledger, "B")
    fields = fragment.content["Parameterisation"]["Positive electrode"]
    assert fields["Porosity"] == pytest.approx(0.31)
    assert fields["Transport efficiency"] == pytest.approx(0.31 / 2.0)
    assert fields["Particle radius [m]"] == pytest.approx(5e-6)
    assert fields["Thickness [m]"] == pytest.approx(62e-6)
    # porosity^b = 0.155: b = ln 0.155 / ln 0.31.
    assert fragment.sides["Bruggeman exponent"].value == pytest.approx(np.log(0.155) / np.log(0.31))
    assert "Tortuosity factor" not in fields
    path, side = write_fragment(fragment, tmp_path / "B.bpx.json")
    content = json.loads(side.read_text())["quantities"]
    assert content["Transport efficiency"]["ci"][0] < 0.155 < content["Transport efficiency"]["ci"][1]
    assert "not a tortuosity" in content["Transport efficiency"]["definition"]
    # The names and ranges are those of the format: its own model takes them.
    electrode = bpx.schema.ParameterisationPartial.model_fields
    assert "positive_electrode" in electrode
    for name in fields:
        assert any(field.alias == name for field in bpx.schema.ElectrodeSingle.model_fields.values()), name
    assert json.loads(path.read_text())["Header"]["BPX"]


def test_what_is_assumed_or_inconsistent_is_said(plant):
    measured(plant, 1)
    plain = bpx_fragment(plant.ledger, "L0")
    assert any("Transport efficiency is left out" in note for note in plain.notes)
    assumed = bpx_fragment(plant.ledger, "L0", bruggeman=1.5)
    e = assumed.sides["Porosity"].value
    assert assumed.sides["Transport efficiency"].value == pytest.approx(e**1.5)
    assert any("Nothing measured it" in note for note in assumed.notes)
    plant.lot("B", {"fraction/pore": [0.3, 0.31], "fraction/ncm": [0.6, 0.61], "x50_3/ncm": [9, 10.0],
                    "surface_density/ncm": [0.6, 0.61]})  # fmt: skip
    # 0.605e6 * 4.75e-6 / 3 = 0.96, but the share is 0.605.
    assert any("Area x radius / 3" in note for note in bpx_fragment(plant.ledger, "B").notes)


def test_a_passport_is_a_valid_crate_with_every_hash(plant, tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate")
    measured(plant, 2)
    path = write_passport(plant.ledger, ["L1"], tmp_path / "L1.eln")
    with zipfile.ZipFile(path) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"L1"}  # one folder, named as the file
        archive.extractall(tmp_path / "out")
    crate = rocrate.ROCrate(tmp_path / "out" / "L1")
    files = [entity for entity in crate.data_entities if entity.type == "File"]
    assert files
    for entity in files:
        data = (tmp_path / "out" / "L1" / entity.id.removeprefix("./")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entity["sha256"]
        assert len(data) == int(entity["contentSize"])
    graph = json.loads((tmp_path / "out" / "L1" / "ro-crate-metadata.json").read_text())["@graph"]
    ids = {entity["@id"] for entity in graph}
    for entity in graph:  # every reference leads somewhere
        for value in entity.values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict) and "@id" in item and not item["@id"].startswith("https://"):
                    assert item["@id"] in ids, item
    (number,) = [e for e in graph if e.get("propertyID") == "fraction/pore"]
    assert number["minValue"] < number["value"] < number["maxValue"]
    assert any(e["@type"] == "ImageObject" and "mask SHA-256" in e["description"] for e in graph)
    assert any("segmentation model" in e.get("name", "") for e in graph)
    assert trace(path, "img3")[0]["lot"] == "L1"
    assert trace(path, "L1") == trace(plant.ledger, "L1")


def test_passports_that_cannot_be_are_said(plant, tmp_path):
    measured(plant, 1)
    for lots, name, words in (
        (["L9"], "a.eln", "L9: is not in the ledger"), ([], "a.zip", "must end with .eln"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            write_passport(plant.ledger, lots, tmp_path / name)
    (tmp_path / "b.eln").write_text("no zip")
    with pytest.raises(InputError, match=r"must be a passport"):
        trace(tmp_path / "b.eln", "L1")


@pytest.mark.slow
def test_the_page_shows_alarms_first_and_needs_no_network(plant, tmp_path):
    from cathode_tf.lots.monitoring import freeze

    measured(plant)
    freeze(plant.ledger, "fraction/pore", first=5)
    plant.lot(
        "BAD",
        {"fraction/pore": [0.6, 0.61, 0.62]},
        settings={"thickness": 60, "line_load": 100},
        day="2026-03-01",
    )
    path = write_lots_report(plant.ledger, tmp_path / "lots.html")
    text = path.read_text()
    assert text.index("Alarms") < text.index("What goes with what") < text.index("Lots side by side")
    assert re.search(
        r"<details[^>]* open[^>]*>\s*<summary>.{0,40}Alarms", text, flags=re.DOTALL
    )  # not folded away
    assert re.search("<td[^>]*>BAD</td>", text)
    assert "rule 1: beyond the limits" in text
    assert text.count("<svg") >= 4
    assert "http://" not in text.replace("http://www.w3.org", "")
    with pytest.raises(InputError, match=r"Did you mean fraction"):
        write_lots_report(plant.ledger, tmp_path / "b.html", quantities=["fracton/pore"])


def test_an_empty_ledger_has_no_page(plant, tmp_path):
    plant.ledger.set("L1", [Setting("a", 1.0, None, "")])
    with pytest.raises(InputError, match=r"must have an analysis"):
        write_lots_report(plant.ledger, tmp_path / "a.html")
