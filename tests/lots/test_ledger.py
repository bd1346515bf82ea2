"""What a ledger takes, refuses and keeps; tables with units, commas and gaps."""

import json

import pytest

from cathode_tf.errors import InputError, InputWarning
from cathode_tf.lots import Place
from cathode_tf.lots.intake import read_analysis, relevant, uncertainties
from cathode_tf.lots.overview import ledger_lines, lot_lines
from cathode_tf.lots.process import PROPERTY
from cathode_tf.lots.settings import Setting, iso_date, read_settings, typed_settings
from cathode_tf.lots.tracing import chain_text, trace
from cathode_tf.statistics import Estimate

from .conftest import intake

POROSITY = {"fraction/pore": [0.3, 0.32, 0.31]}


def test_an_analysis_of_real_masks_is_read_whole(tmp_path):
    import numpy as np

    from cathode_tf.analysis import analyze
    from cathode_tf.phases import Phases

    masks = {}
    for number in range(3):
        mask = np.zeros((120, 120), np.uint8)
        # ncm: 40, 41, 42 of 120 columns, each time elsewhere, or they would count as one place.
        mask[:, 39 * number : 39 * number + 40 + number] = 1
        masks[f"m{number}"] = mask
    folder = analyze(masks, Phases.default(), pixel_size_nm=50).write(tmp_path / "a")
    found = read_analysis(folder)
    share = next(n for n in found.numbers if (n.quantity, n.phase) == ("fraction", "ncm"))
    assert share.estimate.value == pytest.approx(41 / 120)
    # Standard deviation of 40, 41, 42 is 1: u = 1 / 120 / sqrt(3).
    assert share.u == pytest.approx(1 / 120 / 3**0.5)
    assert [image["measures"]["fraction/ncm"] for image in found.images] == pytest.approx(
        [40 / 120, 41 / 120, 42 / 120]
    )
    assert found.images[0]["measures"]["crack_length_density/ncm"] == 0
    assert found.trust == {"files": "as analyze wrote them", "masks": "given, unchecked"}
    assert found.system["masks"] == "given"
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "python": "edited"}))
    assert read_analysis(folder).trust["files"] == "changed after analyze wrote them"


def test_what_is_no_analysis_is_said(tmp_path):
    with pytest.raises(InputError, match=r"has no summary.json"):
        read_analysis(tmp_path)
    for text in ("{", "[]", '{"summary": {"fraction": {"pore": {"value": null}}}, "phases": []}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(InputError, match=r"must be the summary.json"):
            read_analysis(tmp_path)


def test_what_all_lots_share_is_kept_apart():
    # Between images 0.03 and within 0.04: the larger; labelled points add; the pixel size is common.
    components = {
        "between_images": 0.03,
        "integral_range": 0.04,
        "reference_points": 0.03,
        "pixel_size": 0.01,
    }
    found = uncertainties(Estimate(0.3, ci=(0.2, 0.4), n=5, components=components))
    assert found == pytest.approx((0.05, 0.01))
    assert uncertainties(Estimate(0.3, n=5)) == (None, 0.0)
    # Without components the interval tells: 0.0196 / 1.96.
    assert uncertainties(Estimate(0.3, ci=(0.2804, 0.3196), n=5))[0] == pytest.approx(0.01, rel=1e-4)


def test_a_porosity_does_not_hang_on_the_separation():
    one, two = {"masks": "a", "neck_depth": 0.3}, {"masks": "a", "neck_depth": 0.4}
    assert relevant(one, "fraction") == relevant(two, "fraction")
    assert relevant(one, "x50_3") != relevant(two, "x50_3")


def test_the_whole_chain_is_kept_and_found_from_any_link(plant):
    from cathode_tf.lots.cells import CellRow, enter_cells
    from cathode_tf.lots.entering import Micrograph

    source = plant.ledger.database.address
    plant.ledger.add(
        intake("L1", POROSITY), Place("L1", sheet="3", position_m=4.2, lane="left", section="x1", slurry="S9"),
        made_on="2026-03-04", settings=typed_settings(["line_load=200N/mm", "calender=new"]),
        micrographs={"img0": Micrograph("cd" * 32, {"vendor": "FEI", "kV": 5})},
    )  # fmt: skip
    enter_cells(plant.ledger, [CellRow("C7", "L1", "3", {"discharging_capacity": (2.1, "Ah")})], source)
    for word, what in (
        ("C7", "cell"), ("L1", "lot"), ("S9", "slurry lot"), ("3", "sheet"), ("img1", "image"), ("x1", "section"),
        ("analysis 1", "analysis"), ("cdcdcdcd", "SHA-256 of an image"), ("abababab", "SHA-256 of the model"),
    ):  # fmt: skip
        (chain,) = trace(plant.ledger, word)
        assert chain["found"] == what
    text = "\n".join(chain_text(chain))
    for words in (
        "cell: C7",
        "slurry lot: S9",
        "coating lot: L1 (2026-03-04)",
        "sheet 3, 4.2 m, lane left",
        "Dice 0.93",
    ):
        assert words in text
    with pytest.raises(InputError, match=r"nowhere: must be a cell"):
        trace(plant.ledger, "nowhere")
    lines = "\n".join(lot_lines(plant.ledger, "L1"))
    assert "line_load: 200 N/mm" in lines
    assert "fraction/pore: 0.310 +- 0.025 (95 %, 3 images)" in lines
    assert any("write-ahead log" in line for line in ledger_lines(plant.ledger))


def test_nothing_is_entered_twice_and_nothing_is_overwritten(plant):
    plant.lot("L1", POROSITY, sheet="1")
    with pytest.raises(InputError, match=r"is in the ledger already, as analysis 1 of lot L1"):
        plant.lot("L1", POROSITY, sheet="1")
    again = {"fraction/pore": [0.25, 0.26, 0.27]}
    with pytest.raises(InputError, match=r"Give --supersede 1"):
        plant.lot("L1", again, sheet="1")
    plant.lot("L1", {"fraction/pore": [0.35, 0.36, 0.37]}, sheet="2")  # another sheet
    plant.lot("L1", again, sheet="1", system={"masks": "model bbbb"})  # another model: both stay
    added = plant.ledger.add(intake("L1", again), Place("L1", sheet="1"), supersede=1)
    assert added.superseded == 1
    assert plant.ledger.lots()[0]["analyses"] == 3
    old = next(c for c in trace(plant.ledger, "L1") if c["analysis"]["number"] == 1)
    assert old["analysis"]["superseded_by"] == added.analysis
    assert old["numbers"][0]["value"] == pytest.approx(0.31)
    for number, words in ((1, "superseded already by analysis"), (99, "There is no analysis 99")):
        with pytest.raises(InputError, match=words):
            plant.ledger.add(
                intake("L1", {"fraction/pore": [0.1, 0.2]}), Place("L1", sheet="1"), supersede=number
            )
    plant.ledger.withdraw(2, "scratched")
    assert plant.ledger.lots()[0]["analyses"] == 2
    with pytest.raises(InputError, match=r"superseded already"):
        plant.ledger.withdraw(2, "scratched")
    assert [e["event"] for e in plant.ledger.events()] == ["add", "add", "add", "add", "withdraw"]


def test_a_refused_analysis_leaves_no_trace(plant):
    with pytest.raises(InputError, match=r"needs --sheet"):
        plant.ledger.add(
            intake("L1", POROSITY), Place("L1"), settings=[Setting("a", 1.0, None, "")],
            sheet_settings=[Setting("b", 1.0, None, "")],
        )  # fmt: skip
    assert plant.ledger.lots() == []
    assert plant.ledger.events() == []


def test_settings_are_turned_into_the_ledgers_unit_or_refused(plant):
    plant.ledger.set("L1", [Setting("loading", 20.0, None, "mg/cm2"), Setting("calender", None, "old", "")])
    plant.ledger.set("L2", [Setting("loading", 210.0, None, "g/m2")])
    assert "loading: 21 mg/cm2 (by hand)" in lot_lines(plant.ledger, "L2")
    plant.ledger.set("L2", [Setting("loading", 21.0, None, "mg/cm2")])  # the same again
    with pytest.raises(InputError, match=r"loading is 21 mg/cm2 in the ledger. Received 22 mg/cm2"):
        plant.ledger.set("L2", [Setting("loading", 22.0, None, "mg/cm2")])
    plant.ledger.set("L2", [Setting("loading", 22.0, None, "mg/cm2")], supersede=True)
    assert "loading: 22 mg/cm2 (by hand)" in lot_lines(plant.ledger, "L2")
    with pytest.raises(InputError, match=r"must be in mg/cm2"):
        plant.ledger.set("L3", [Setting("loading", 60.0, None, "um")])
    with pytest.raises(InputError, match=r"is a word for other lots"):
        plant.ledger.set("L3", [Setting("calender", 2.0, None, "")])
    with pytest.warns(InputWarning, match=r"taken as mg/cm2"):
        plant.ledger.set("L4", [Setting("loading", 19.0, None, "")])


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "factors.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_commas_as_decimals_units_and_words(tmp_path):
    path = table(
        tmp_path, "Lot;Date;Line load [N/mm];Thickness (µm);Kalander\nL1;04.03.2026;120,5;60;neu\n", "cp1252"
    )
    (row,) = read_settings(path)
    assert (row.lot, row.date) == ("L1", "2026-03-04")
    assert row.settings == (
        Setting("line_load", 120.5, None, "N/mm"), Setting("thickness", 60.0, None, "um"),
        Setting("kalander", None, "neu", ""),
    )  # fmt: skip


def test_a_column_of_standard_uncertainties(tmp_path):
    (row,) = read_settings(table(tmp_path, "lot,porosity_hg [%],porosity_hg_u [%]\nL1,30.5,0.5\n"))
    assert row.settings == (Setting("porosity_hg", 30.5, None, "%", 0.5),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "lot,load\nL1,0,31\n",
            "line 2 must have at most 2 cells. Received 3; a cell with a comma in it needs quotation marks",
        ),
        ("lot,load\nL1,1\n,2\n", "Line 3 does not"),
        ("lot,load\nL1,1\nL1,2\n", "L1 stands in lines 2 and 3, which differ"),
        ("lot,load\nL1,1\nL2,2\nL3,x\n", "column load must hold numbers.*Line 4 holds 'x'"),
        ("batchno,load\nL1,1\n", "must have a column lot"),
        ("lot,load,Load\nL1,1,2\n", "load occurs twice"),
        ("lot,date\nL1,03/04/2026\n", "line 2: a date must look like"),
        ("lot,load\n", "Received less"),
    ],
)
def test_a_table_that_cannot_be_right_is_said(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_settings(table(tmp_path, text))


def test_the_same_line_twice_counts_once(tmp_path):
    assert len(read_settings(table(tmp_path, "lot,load\nL1,1\nL1,1\n"))) == 1


def test_a_table_is_entered_whole_or_not_at_all(plant, tmp_path):
    plant.lot("L1", POROSITY)
    plant.lot("L2", {"fraction/pore": [0.2, 0.21, 0.22]})
    rows = read_settings(table(tmp_path, "lot,load [N/mm]\nL1,100\nL3,200\n"))
    assert plant.ledger.import_rows(rows, "factors.csv") == (2, ["L3"], ["L2"])
    assert plant.ledger.import_rows(rows, "factors.csv")[0] == 0
    wrong = read_settings(table(tmp_path, "lot,load [N/mm]\nL4,100\nL1,300\n"))
    with pytest.raises(
        InputError, match=r"load is 100 N/mm in the ledger. Received 300 N/mm \(factors.csv, line 3\)"
    ):
        plant.ledger.import_rows(wrong, "factors.csv")
    assert "L4" not in [lot["name"] for lot in plant.ledger.lots()]
    plant.ledger.import_rows(wrong, "factors.csv", kind=PROPERTY, supersede=True)
    assert "load: 300 N/mm (factors.csv, line 3)" in lot_lines(plant.ledger, "L1")


def test_typed_settings():
    assert typed_settings(["drying=120C", "speed=4,2 m/min", "calender=3b"]) == [
        Setting("drying", 120.0, None, "C"), Setting("speed", 4.2, None, "m/min"), Setting("calender", None, "3b", ""),
    ]  # fmt: skip
    for text in ("load", "=3", "load="):
        with pytest.raises(InputError, match=r"must look like line_load=200"):
            typed_settings([text])
    with pytest.raises(InputError, match=r"Received a twice"):
        typed_settings(["a=1", "a=2"])


def test_dates():
    assert iso_date("2026-03-04T10:30") == "2026-03-04T10:30:00"
    with pytest.raises(InputError, match=r"must look like 2026-03-04"):
        iso_date("March")
