"""Pages of the explorer from templates: every string made visible and escaped on its way in."""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from corpusmill.report.html import number, size
from corpusmill.report.showing import visible

FOLDER = Path(__file__).parent


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "size": size}
    return environment


def _shown(value: Any) -> Any:
    """Strings of documents made visible; results of macros, of a subclass of str, are already."""
    return visible(value, lines=True) if type(value) is str else value


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """An answer made of a template."""
    text = _environment().get_template(template).render(facts)
    # what no UTF-8 has (lone surrogates) has been made visible
    return HTMLResponse(text, status)
