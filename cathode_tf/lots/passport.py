"""Lots of a ledger in, an `.eln` file out: a zipped RO-Crate that electronic laboratory notebooks read.

Each analysis is a folder with its numbers and images as tables; the crate's graph says of every number which images,
masks, model and instrument it came from.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cathode_tf.errors import InputError
from cathode_tf.files import atomic_file
from cathode_tf.lots.ledger import Ledger
from cathode_tf.lots.tracing import CHAINS, chains
from cathode_tf.version import __version__

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PUBLISHER = "#cathode_tf"


def write_passport(ledger: Ledger, lots: Sequence[str], path: str | Path, *, force: bool = False) -> Path:
    """Write the passport of lots.

    Args:
        ledger: With their analyses.
        lots: Their names; none: all.
        path: Ends with `.eln`.
        force: Replace an existing file.

    Raises:
        InputError: If a lot is unknown or has no current analysis, or the name does not end with `.eln`.

    Reference:
        The ELN file format (TheELNConsortium); RO-Crate 1.1.
    """
    path = Path(path)
    if path.suffix != ".eln":
        raise InputError(f"--eln: the name must end with .eln, as notebooks expect. Received {path.name}.")
    known = chains(ledger, lots or None)
    if not known:
        raise InputError("export: the lots must have an analysis. They have none.")
    crate = _Crate()
    for chain in known:
        _analysis(crate, chain)
    text = json.dumps(known, indent=1, ensure_ascii=False)
    crate.file(CHAINS, text.encode(), "application/json", "The chain from image to cell of every analysis")
    return crate.write(path, force)


class _Crate:
    """Files and entities that are put together."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.entities: dict[str, dict[str, Any]] = {}
        self.parts: list[str] = []

    def entity(self, key: str, kind: str, **properties: Any) -> dict[str, str]:
        """Note an entity once; gives back a reference to it."""
        content = {term: value for term, value in properties.items() if value not in (None, [], "")}
        self.entities.setdefault(key, {"@id": key, "@type": kind, **content})
        return {"@id": key}

    def file(
        self, name: str, data: bytes, kind: str, description: str, *, root: bool = True
    ) -> dict[str, str]:
        """Add a file with size and SHA-256."""
        self.files[name] = data
        if root:
            self.parts.append(f"./{name}")
        return self.entity(
            f"./{name}",
            "File",
            name=name.rsplit("/", 1)[-1],
            description=description,
            encodingFormat=kind,
            contentSize=str(len(data)),
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def write(self, path: Path, force: bool) -> Path:
        """The zip, with one folder named as the file."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.entity(PUBLISHER, "Organization", name="cathode_tf", description=f"cathode_tf {__version__}")
        head = [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "dateCreated": now,
                "sdPublisher": {"@id": PUBLISHER},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": path.stem,
                "description": "Cathode lots: sections, masks, measured structure, process settings, cells",
                "datePublished": now,
                "license": "Not stated by the exporting program; ask the plant.",
                "hasPart": [{"@id": part} for part in self.parts],
            },
        ]
        graph = {"@context": CONTEXT, "@graph": [*head, *self.entities.values()]}
        text = json.dumps(graph, indent=1, ensure_ascii=False)
        with (
            atomic_file(path, force=force) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            archive.writestr(f"{path.stem}/ro-crate-metadata.json", text)
            for name, data in self.files.items():
                archive.writestr(f"{path.stem}/{name}", data)
        return path


def _analysis(crate: _Crate, chain: Mapping[str, Any]) -> None:
    analysis = chain["analysis"]
    folder = f"{_safe(chain['lot'])}/analysis-{analysis['number']}"
    where = f"./{folder}/"
    files = [
        crate.file(
            f"{folder}/numbers.csv", _csv(_numbers(chain)), "text/csv", "Every number with its interval"
        ),
        crate.file(
            f"{folder}/images.csv", _csv(_images(chain)), "text/csv", "Images and masks with their SHA-256"
        ),
        crate.file(
            f"{folder}/settings.csv", _csv(_settings(chain)), "text/csv", "Process settings of the lot"
        ),
    ]
    if chain["cells"]:
        files.append(
            crate.file(f"{folder}/cells.csv", _csv(_cells(chain)), "text/csv", "Cells made of the lot")
        )
    summary = Path(analysis["folder"]) / "summary.json"
    if summary.is_file() and hashlib.sha256(summary.read_bytes()).hexdigest() == analysis["summary_sha256"]:
        data = summary.read_bytes()
        files.append(crate.file(f"{folder}/summary.json", data, "application/json", "The whole analysis"))
    images = [
        crate.entity(
            f"#image-{analysis['number']}-{_safe(image['name'])}",
            "ImageObject",
            name=image["name"],
            sha256=image["image_sha256"],
            description=f"mask SHA-256 {image['mask_sha256']}",
            isPartOf=image["field"],
        )
        for image in chain["images"]
    ]
    model = _model(crate, analysis)
    author = crate.entity(f"#person-{_safe(analysis['who'])}", "Person", name=analysis["who"])
    numbers = [
        _number(crate, analysis["number"], number)
        for number in chain["numbers"]
        if number["value"] is not None
    ]
    crate.entity(
        f"#analysis-{analysis['number']}",
        "CreateAction",
        name="Masks measured",
        agent=author,
        instrument=[model, *_instruments(crate, chain)],
        object=images,
        result=[{"@id": where}],
        endTime=analysis["added_at"],
    )
    crate.parts.append(where)
    crate.entity(
        where,
        "Dataset",
        name=f"Lot {chain['lot']}, analysis {analysis['number']}",
        description=f"{len(images)} images; masks: {analysis['trust'].get('masks', 'unchecked')}",
        text=_text(chain),
        author=author,
        dateCreated=analysis["added_at"],
        identifier=analysis["summary_sha256"],
        keywords=",".join(["cathode", "NCM", str(chain["lot"])]),
        hasPart=files,
        mentions=images,
        variableMeasured=numbers,
    )


def _model(crate: _Crate, analysis: Mapping[str, Any]) -> dict[str, str]:
    program = crate.entity(
        f"#program-{analysis['version']}",
        "SoftwareApplication",
        name="cathode_tf",
        softwareVersion=analysis["version"],
    )
    model = analysis.get("model")
    if not model:
        return program
    digest = str(model.get("sha256") or model.get("fingerprint"))
    return crate.entity(
        f"#model-{digest[:16]}",
        "SoftwareApplication",
        name=f"segmentation model {model.get('title') or model.get('path')}",
        identifier=digest,
        isPartOf=program,
    )


def _instruments(crate: _Crate, chain: Mapping[str, Any]) -> list[dict[str, str]]:
    found = {}
    for image in chain["images"]:
        facts = image["instrument"] or {}
        name = " ".join(str(facts[key]) for key in ("vendor", "instrument", "model") if facts.get(key))
        if name:
            text = ", ".join(f"{key}: {value}" for key, value in facts.items() if value is not None)
            found[name] = crate.entity(
                f"#instrument-{_safe(name)}", "IndividualProduct", name=name, description=text
            )
    return list(found.values())


def _number(crate: _Crate, analysis: int, number: Mapping[str, Any]) -> dict[str, str]:
    low, high = number["ci"] or (None, None)
    name = f"{number['quantity']}/{number['phase']}"
    return crate.entity(
        f"#number-{analysis}-{_safe(name)}",
        "PropertyValue",
        propertyID=name,
        name=name,
        value=number["value"],
        minValue=low,
        maxValue=high,
        unitText=number["unit"] or "1",
        measurementTechnique=number["method"],
        description=number["text"],
    )


def _numbers(chain: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield (
        "quantity",
        "phase",
        "unit",
        "value",
        "lower",
        "upper",
        "level",
        "n",
        "of",
        "method",
        "reference",
        "flags",
    )
    for number in chain["numbers"]:
        low, high = number["ci"] or ("", "")
        flags = "; ".join(f"{flag}: {reason}" for flag, reason in number["flags"].items())
        yield (
            number["quantity"], number["phase"], number["unit"], number["value"], low, high, number["level"],
            number["n"], number["unit_of_replication"], number["method"], number["reference"], flags,
        )  # fmt: skip


def _images(chain: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield (
        "image",
        "field",
        "section",
        "sheet",
        "position_m",
        "lane",
        "mask_sha256",
        "image_sha256",
        "instrument",
    )
    for image in chain["images"]:
        yield (
            image["name"], image["field"], chain["section"], chain["sheet"], chain["position_m"], chain["lane"],
            image["mask_sha256"], image["image_sha256"], json.dumps(image["instrument"]) if image["instrument"] else "",
        )  # fmt: skip


def _settings(chain: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield ("name", "value", "unit", "sheet", "kind", "source")
    for row in chain["settings"]:
        value = row["text"] if row["value"] is None else row["value"]
        yield (row["name"], value, row["unit"], row["sheet"], row["kind"], row["source"])


def _cells(chain: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield ("cell", "sheet", "metric", "value", "unit", "source_sha256")
    for row in chain["cells"]:
        yield (row["name"], row["sheet"], row["metric"], row["value"], row["unit"], row["source_sha256"])


def _csv(rows: Iterator[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _text(chain: Mapping[str, Any]) -> str:
    """What a notebook shows of the entry."""
    import html

    shown = ("fraction", "x50_3", "crack_length_density", "fragments_per_particle")
    rows = "".join(
        f"<tr><td>{html.escape(n['quantity'])} {html.escape(n['phase'])}</td><td>{html.escape(n['text'])}</td></tr>"
        for n in chain["numbers"]
        if n["quantity"] in shown
    )
    place = ", ".join(
        f"{key} {chain[key]}"
        for key in ("slurry", "lot", "sheet", "position_m", "lane", "section")
        if chain[key]
    )
    return f"<p>{html.escape(place)}</p><table>{rows}</table>"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", str(name)) or "_"
