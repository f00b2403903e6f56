"""Dataclasses as JSON: strict on reading, fit for eyes on writing.

An unknown key, a missing one or a value of another type is refused with the place where it
stands; nothing is filled in or converted but whole numbers to floats.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class MalformedRecordError(Exception):
    """Says at which place of a document what is wrong."""


def as_json(record: Any) -> str:
    """The text of a file that holds one dataclass."""
    return _layout(dataclasses.asdict(record)) + "\n"


def parse_record(kind: type[T], document: Any) -> T:
    """Turns the values of a JSON document into a dataclass.

    Args:
        kind: a dataclass whose fields are numbers, strings, dataclasses, and tuples, mappings
            and unions of these.
        document: as ``json.loads`` returns it.

    Raises:
        MalformedRecordError: the document is not of that form.
        ValueError: a dataclass refuses its values.
    """
    record: T = _parse(kind, document, "")
    return record


def _layout(value: Any, depth: int = 0) -> str:
    """JSON with one row an image or an engine: fit for eyes, and a tenth of a full layout."""
    if depth < 4 and isinstance(value, dict) and value:
        rows = [f"{json.dumps(key)}: {_layout(item, depth + 1)}" for key, item in value.items()]
        opening, closing = "{}"
    elif depth < 4 and isinstance(value, (list, tuple)) and value:
        rows = [_layout(item, depth + 1) for item in value]
        opening, closing = "[]"
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    indent = " " * (depth + 1)
    body = ",\n".join(indent + row for row in rows)
    return f"{opening}\n{body}\n{' ' * depth}{closing}"


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _parse(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin in (types.UnionType, typing.Union):
        return _parse(_choose(arguments, value, where), value, where)
    if kind is float and type(value) in (int, float):
        return float(value)
    if type(value) is kind:
        return value
    raise MalformedRecordError(f"{where or 'the document'} has an unexpected value {value!r:.60}")


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or set(value) != set(hints):
        expected = ", ".join(sorted(hints))
        raise MalformedRecordError(f"{where or 'the document'} must be an object with {expected}")
    return kind(**{key: _parse(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _choose(alternatives: tuple[Any, ...], value: Any, where: str) -> Any:
    """The member of a union that a value belongs to: by its type, an object by its keys."""
    for kind in alternatives:
        if dataclasses.is_dataclass(kind):
            if isinstance(value, dict) and set(value) == set(typing.get_type_hints(kind)):
                return kind
        elif type(value) is (list if typing.get_origin(kind) is tuple else kind) or (
            kind is float and type(value) is int
        ):
            return kind
    raise MalformedRecordError(f"{where} has an unexpected value {value!r:.60}")
