"""Validation: plain values into a model, and pydantic's complaints into a sentence that a user can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from presets.problem import suggestion

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Complaint:
    """What is wrong at `path` below the table, and what would be right."""

    path: tuple[str | int, ...]
    what: str
    remedy: str


def validate(model: type[Model], data: Mapping[str, Any]) -> Model | ValidationError:
    """The model with these settings, or what is wrong. Nothing is converted: a number in quotes is text."""
    try:
        # By way of JSON, because strict mode takes a list for a tuple only there.
        return model.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        return error


def first_complaint(model: type[BaseModel], error: ValidationError, more_keys: tuple[str, ...]) -> Complaint:
    """The first thing that is wrong; `more_keys` are allowed in the table beside the model's own."""
    # A mistyped key is unknown and leaves the right one missing: the first of the two is the help.
    found = min(error.errors(), key=lambda one: one["type"] == "missing")
    path = tuple(found["loc"])
    schema = model.model_json_schema()
    name = _dotted(path)
    context: Mapping[str, Any] = found.get("ctx", {})
    if found["type"] == "extra_forbidden":
        allowed = list(_at(schema, path[:-1]).get("properties", {}))
        allowed = [*more_keys, *allowed] if len(path) == 1 else allowed
        return Complaint(path, f"unknown key '{path[-1]}'", suggestion(path[-1], allowed))
    if found["type"] == "missing":
        return Complaint(path[:-1], f"'{name}' is missing", f"Add {path[-1]} = ....")
    if found["type"] == "literal_error":
        choices = [choice.strip(" '") for choice in str(context["expected"]).replace(" or ", ", ").split(",")]
        return Complaint(
            path, f"{name} = {_shown(found['input'])} is not allowed", suggestion(found["input"], choices)
        )
    if found["type"] == "value_error":
        remedy = f"Correct '{name}'." if path else "Change one of them."
        return Complaint(path, str(context.get("error", found["msg"])).rstrip("."), remedy)
    return Complaint(
        path, f"{name} = {_shown(found['input'])} is not allowed", _allowed(_at(schema, path), found["msg"])
    )


def _allowed(schema: Mapping[str, Any], message: str) -> str:
    """What the schema allows at one place."""
    low, high = (schema.get(key) for key in ("minimum", "maximum"))
    if low is not None and high is not None:
        return f"Allowed: a number from {low:g} to {high:g}."
    kinds = {"number": "a number", "integer": "a whole number", "string": "text in quotes", "array": "a list"}
    kinds["boolean"] = "true or false"
    kind = kinds.get(str(schema.get("type")))
    return f"Allowed: {kind}." if kind else f"{message}."


def _at(schema: Mapping[str, Any], path: tuple[str | int, ...]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes what is at `path`."""
    here = _resolved(schema, schema)
    for part in path:
        inner = here.get("items", {}) if isinstance(part, int) else here.get("properties", {}).get(part, {})
        here = _resolved(schema, inner)
    return here


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """`part` itself, what it refers to, or its first alternative that is not null."""
    if "$ref" in part:
        found: Mapping[str, Any] = schema["$defs"][str(part["$ref"]).rsplit("/", 1)[-1]]
        return found
    for choice in part.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(schema, choice)
    return part


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in path)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
