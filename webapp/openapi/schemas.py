"""Our marshmallow schemas as JSON Schema, by apispec, with what our own kinds of fields mean."""

from __future__ import annotations

from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import INCLUDE, Schema, fields

from webapp.fields import AnyValue, Millis, Moment, Text, View, Whole

Json = dict[str, Any]
OPENAPI = "3.1.1"
# A timestamp of a number that a client gets: milliseconds; 2^53 is where JSON's numbers stop being exact.
EXACT = {"format": "int64"}


def specification(title: str, version: str, **options: Any) -> tuple[APISpec, OpenAPIConverter]:
    """An empty document, and what turns schemas into its components."""
    plugin = MarshmallowPlugin(schema_name_resolver=_named)
    spec = APISpec(title=title, version=version, openapi_version=OPENAPI, plugins=[plugin], **options)
    converter = cast(OpenAPIConverter, plugin.converter)
    for kind, (of, form) in {
        Moment: ("string", "date-time"),
        Millis: ("integer", "int64"),
    }.items():
        converter.field_mapping[kind] = (of, form)
    converter.add_attribute_function(_ours)  # type: ignore[no-untyped-call]  # apispec's omission
    return spec, converter


def component(spec: APISpec, converter: OpenAPIConverter, schema: type[Schema]) -> Json:
    """A reference to the schema among the components, where it stands once."""
    reference = cast(Json, converter.resolve_nested_schema(schema))  # type: ignore[no-untyped-call]  # apispec's omission
    _finish(spec, schema)
    return reference


def _finish(spec: APISpec, schema: type[Schema]) -> None:
    made = spec.components.schemas[_named(schema)]
    if made.get("x-finished"):
        return
    made["x-finished"] = True
    words = (schema.__doc__ or "").strip()
    if words and schema.__module__ not in ("marshmallow.schema",):
        made["description"] = " ".join(words.split())
    if issubclass(schema, View):
        # Clients must live with further fields: that is how an answer grows.
        made.pop("additionalProperties", None)
        for name in schema.NULLABLE & set(made.get("properties", {})):
            made["properties"][name] = or_null(made["properties"][name])
        if schema.NULLABLE:
            made["required"] = sorted(set(made.get("required", [])) | set(schema.NULLABLE))
    elif issubclass(schema, AnyValue):
        made.clear()
        made |= {"description": "Any JSON value.", "x-finished": True}
    else:
        made["additionalProperties"] = schema.Meta.unknown == INCLUDE if hasattr(schema.Meta, "unknown") else False
    for field in schema().fields.values():
        if nested := _nested(field):
            _finish(spec, nested)


def or_null(schema: Json) -> Json:
    """The same, or null."""
    kind = schema.get("type")
    if kind is None:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = kind if isinstance(kind, list) else [kind]
    more: Json = {"type": [*kinds, *([] if "null" in kinds else ["null"])]}
    if "enum" in schema and None not in schema["enum"]:
        more["enum"] = [*schema["enum"], None]
    return {**schema, **more}


def _nested(field: fields.Field[Any]) -> type[Schema] | None:
    if isinstance(field, fields.List):
        return _nested(field.inner)
    if isinstance(field, fields.Dict):
        return _nested(field.value_field) if field.value_field else None
    return type(field.schema) if isinstance(field, fields.Nested) else None


def _named(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    room = kind.__module__.split(".")[1] if kind.__module__.startswith("webapp.") else ""
    return f"{room.title().replace('_', '')}{kind.__name__}"


def _ours(_converter: OpenAPIConverter, field: fields.Field[Any], ret: Json, **_: Any) -> Json:
    made: Json = {}
    match field:
        case Text() if field._low:
            made["pattern"] = r"\S"  # not blank
        case Whole():
            made["format"] = "int64"
        case fields.Dict() if not field.value_field:
            made["additionalProperties"] = True
        case fields.Raw() if type(field) is fields.Raw:
            made["description"] = "Any JSON value."
    if pattern := ret.get("pattern"):
        # Python's anchors of the whole text; ECMA-262, JSON Schema's dialect, has ^ and $ for them.
        made["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    return made


def resolved(schema: Json, components: Json) -> Json:
    """What a reference stands for; the schema itself where it is none."""
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema
