"""Examples made out of JSON Schemas: always the same for the same schema, and valid against it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
FORMATS = {
    "date": "2026-11-20",
    "date-time": "2026-11-20T20:00:00.000Z",
    "uuid": "7f9c24e8-3b12-4fef-91e0-5d6a8c0b4e21",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
}
MILLISECONDS = 1795204800000
# What a name makes a reader expect, where the schema leaves it open.
NAMED = {"resource_kind": "proxies", "workspace_kind": "notes", "path": "ui/theme", "date": "2026-11-20",
         "currency": "EUR",
         "user_id": "ada", "vm_uuid": "vm-7f9c24e8", "module": "billing", "email": "ada@example.com", "uid": "ada",
         "platform": "windows", "channel": "stable", "version": "1.4.0",
         "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}  # fmt: skip


def example_of(schema: Json, components: Json, name: str = "") -> Any:
    """A value that the schema takes; `components` are those that its references name. `name`: the property's.

    A text's pattern is met by NAMED or by letters; what meets neither needs an example of its own (the tests say so).
    """
    if "example" in schema:
        return schema["example"]
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, name)
    for several in ("allOf", "anyOf", "oneOf"):
        if several in schema:
            return example_of(schema[several][0], components, name)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    return _of_type(schema, components, name)


def _of_type(schema: Json, components: Json, name: str) -> Any:
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    made: Any = None
    match kind:
        case "object":
            made = {key: example_of(part, components, key) for key, part in schema.get("properties", {}).items()}
        case "array":
            made = [example_of(schema.get("items", {}), components, name)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            made = _number(schema, name)
        case "boolean":
            made = True
        case "string":
            made = _text(schema, name)
    return made


def _number(schema: Json, name: str) -> int | float:
    low, high = schema.get("minimum", 1), schema.get("maximum")
    wanted = MILLISECONDS if name.endswith("_at") else max(1, low)
    return low if high is not None and wanted > high else wanted


def _text(schema: Json, name: str) -> str:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    text = NAMED.get(name, name.replace("_", "-") or "text")
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    return text.ljust(low, "x")[:high]
