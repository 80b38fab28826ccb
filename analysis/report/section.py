"""The parts a report's sections are made of: a `Section`, the templates, and the disclosure that says where from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.report import numbers, tables
from analysis.report.reading import Answer, Artifact, Reading, Where


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Args:
        name: Its anchor.
        title: Its heading.
        body: Its markup, empty if nothing of it is there.
        missing: Artifacts that it would show and that are not finished.
    """

    name: str
    title: str
    body: Markup
    missing: tuple[Artifact, ...] = ()


@cache
def templates() -> Environment:
    """Return the template environment: everything is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("analysis.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (
        numbers.count,
        numbers.short,
        numbers.size,
        numbers.percent,
        numbers.loss,
        numbers.signed,
        numbers.scientific,
        numbers.seconds,
    ):
        environment.filters[show.__name__] = _exactly(show)
    environment.filters["content"] = content
    environment.filters["swatch"] = tables.swatch
    environment.filters["name_of"] = tables.name_of
    environment.filters["colour"] = tables.colour_of
    cast(dict[str, Any], environment.globals)["where"] = where
    return environment


def content(text: str) -> Markup:
    """Escape text that stands between tags, never in an attribute: quotes stay as they are, which keeps code short."""
    return Markup(str(escape(text)).replace("&#39;", "'").replace("&#34;", '"'))


def _exactly(show: numbers.Show) -> Any:
    def filtered(value: Any) -> Markup:
        return numbers.exact(value, show)

    return filtered


def render(template: str, **context: Any) -> Markup:
    """Return a template filled in."""
    return Markup(templates().get_template(template).render(**context))


def where(*sources: Answer | Where) -> Markup:
    """Return the disclosure that names the files, the SQL and the commands behind figures."""
    found: Sequence[Where] = [source.where if isinstance(source, Answer) else source for source in sources]
    artifacts = {artifact.kind: artifact for item in found for artifact in item.artifacts}
    return render("where.html", sources=found, artifacts=list(artifacts.values()))


def lacking(reading: Reading, *kinds: str) -> tuple[Artifact, ...]:
    """Return those of some artifacts that are not finished."""
    return tuple(reading.artifacts[kind] for kind in kinds if not reading.has(kind))
