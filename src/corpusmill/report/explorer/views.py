"""Pages of the explorer from templates: every string made visible and escaped on its way in."""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.responses import HTMLResponse

from corpusmill.report.html import environment

FOLDER = Path(__file__).parent


@functools.cache
def _templates() -> Environment:
    return environment(FOLDER / "templates")


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """An answer made of a template."""
    text = _templates().get_template(template).render(facts)
    # what no UTF-8 has (lone surrogates) has been made visible
    return HTMLResponse(text, status)
