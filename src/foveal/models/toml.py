"""TOML files checked against a schema, with errors that name the line and the key."""

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from foveal.core import FovealError

Schema = TypeVar("Schema", bound=BaseModel)


def read_toml(path: Path, schema: type[Schema], error: type[FovealError]) -> Schema:
    """The file as an instance of the schema.

    Raises:
        FovealError: Of the type given: a file that is missing or no TOML, unknown or missing keys
            and values of the wrong kind, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise error(f"cannot read {path}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise error(f"{path} is no text file in UTF-8, so no TOML") from problem
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path} is no valid TOML: {problem}") from problem
    return checked(table, schema, error, where=str(path), text=text)


def checked(
    table: Mapping[str, object],
    schema: type[Schema],
    error: type[FovealError],
    *,
    where: str,
    text: str = "",
) -> Schema:
    """A table as an instance of the schema; `text` is the TOML it came from, for line numbers.

    Raises:
        FovealError: Of the type given, listing every wrong key.
    """
    try:
        return schema.model_validate(table)
    except ValidationError as problem:
        lines = [_sentence(detail, schema, text) for detail in problem.errors()]
        raise error(f"{where}:\n  " + "\n  ".join(lines)) from None


def _sentence(detail: ErrorDetails, schema: type[BaseModel], text: str) -> str:
    location = detail["loc"]
    key = ".".join(str(part) for part in location)
    line = _line(text, [part for part in location if isinstance(part, str)])
    at = f"line {line}: " if line else ""
    if detail["type"] == "extra_forbidden":
        known = _known(schema, location[:-1])
        near = get_close_matches(str(location[-1]), known, n=1)
        hint = f"; known here: {', '.join(known)}" if known else ""
        hint = f"; did you mean {near[0]!r}?" if near else hint
        return f"{at}unknown key {key!r}{hint}"
    if detail["type"] == "missing":
        return f"{at}missing key {key!r}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{at}{key} = {detail['input']!r}: {message}" if key else message


def _known(schema: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys of the table at this place in the schema."""
    for part in location:
        if isinstance(part, str):
            field = schema.model_fields.get(part)
            inner = [t for t in _types(field.annotation if field else None) if _is_schema(t)]
            if not inner:
                return []
            schema = inner[0]
    return [field.alias or name for name, field in schema.model_fields.items()]


def _types(annotation: object) -> list[type]:
    arguments = getattr(annotation, "__args__", ())
    inner = [t for argument in arguments for t in _types(argument)]
    return [annotation, *inner] if isinstance(annotation, type) else inner


def _is_schema(kind: type) -> bool:
    return issubclass(kind, BaseModel)


def _line(text: str, keys: list[str]) -> int | None:
    """The line on which a key stands, or the table that should hold it."""
    table: list[str] = []
    heading = None
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.split("#", 1)[0].strip()
        if bare.startswith("["):
            table = bare.strip("[] ").split(".")
            if table == keys[: len(table)]:
                heading = number
            if table == keys:
                return number
        elif "=" in bare:
            name = bare.split("=", 1)[0].strip().strip("\"'")
            if [*table, name] == keys[: len(table) + 1]:
                return number
    return heading
