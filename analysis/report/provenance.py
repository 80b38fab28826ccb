"""Where everything came from, in a report: artifacts with fingerprints and commands, and what was checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from analysis.report.numbers import count
from analysis.report.reading import KINDS, Reading
from analysis.report.section import Section, render
from analysis.report.tables import Column, table


def provenance_section(reading: Reading) -> Section:
    """Return the section on contracts, artifacts and fingerprints."""
    contracts = reading.ask("report_contracts") if reading.holds("*/contract.parquet") else None
    checks = contracts.records() if contracts else []
    body = render(
        "provenance.html",
        folder=f"{reading.folder.parent.name}/{reading.folder.name}",
        contracts=contracts,
        checked=len(checks),
        broken=sum(not row["success"] for row in checks),
        contract_table=_contract_table(checks),
        artifacts=[
            {
                "kind": kind,
                "state": artifact.state,
                "command": artifact.command,
                "fingerprint": str(artifact.manifest.get("fingerprint", "")),
                "identity": json.dumps(artifact.manifest.get("identity", {}), indent=2, ensure_ascii=False),
                "counts": json.dumps(artifact.manifest.get("counts", {}), indent=2, ensure_ascii=False),
            }
            for kind, artifact in ((kind, reading.artifacts[kind]) for kind in KINDS)
        ],
    )
    return Section("provenance", "Where the figures come from", body)


def _contract_table(checks: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("artifact", "Artifact"),
        Column("contract", "Noun"),
        Column("expectation", "Expectation", cell=lambda row: _expectation(row)),
        Column("why", "If not"),
        Column("checked", "Rows checked", count, numeric=True),
        Column("unexpected", "Unexpected", count, numeric=True),
        Column("success", "Held", lambda held: "yes" if held else "no"),
    ]
    return table(checks, columns, query="report_contracts", caption="What was checked of the tables that were written")


def _expectation(row: Mapping[str, Any]) -> Markup:
    return Markup("<code>{}</code> <small>{}</small>").format(row["expectation"], row["arguments"])
