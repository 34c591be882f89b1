"""The reference of settings in the documentation, from the models that check recipes."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined


def settings_table(model: type[BaseModel]) -> str:
    """Every setting of a model as a Markdown table: name, default, allowed values and meaning."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        label = field.serialization_alias or name
        meaning = " ".join((field.description or "").split())
        allowed = _allowed(field.annotation)
        if allowed:
            meaning = f"{', '.join(f'`{value}`' for value in allowed)}. {meaning}"
        default = _default(field.get_default(call_default_factory=True))
        lines.append(f"| `{label}` | {default} | {meaning} |")
    return "\n".join(lines)


def _allowed(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in _allowed(part)]


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "(needed)"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if value is None or value in ((), {}, ""):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
