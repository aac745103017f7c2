"""Bodies out of the OpenAPI document's schemas, full of markers, and the ways in which a body can be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.api.canary.markers import Markers
from webapp.openapi.examples import example_of

Json = dict[str, Any]
JSON = "application/json"
# A secret's name, as somebody writes it who wants it to be overlooked: full width, and a blank that has none.
DISGUISED = "\uff21\uff30\uff29\u200b \uff2b\uff25\uff39"
# The kind of what an open record holds under names of its own.
RECORD = "record"
# Where an operation wants more than its schema says; None leaves a field out.
SENSIBLE: dict[str, Json] = {
    "POST /api/v1/licenses": {"ends_at": None, "type": "perpetual"},
    "PATCH /api/v1/licenses/{license_id}": {"ends_at": None, "status": "active"},
    "PATCH /api/v1/artifacts/releases/{release_id}": {"status": "active"},
    "PATCH /api/v1/vm-ops/commands/{command_id}": {"status": "succeeded"},
}


@dataclass(frozen=True)
class Sent:
    """A body, as it goes over the wire."""

    what: str
    raw: bytes
    kind: str = JSON

    @classmethod
    def of(cls, what: str, body: Any) -> Sent:
        return cls(what, json.dumps(body).encode())


@dataclass
class Filler:
    """Fills schemas. `known` are values that mean something (ids of what is there); all other texts are markers."""

    markers: Markers
    components: Json
    known: Json = field(default_factory=dict)

    def fill(self, schema: Json, where: str, name: str = "", *, known: bool = True) -> Any:
        if "$ref" in schema:
            schema = self.components[schema["$ref"].rpartition("/")[2]]
        if known and name in self.known:
            return self.known[name]
        if schema.get("properties"):
            parts = schema["properties"].items()
            return {key: self.fill(part, where, key, known=known) for key, part in parts}
        if schema.get("additionalProperties") is True:
            name = name or RECORD
            return {"note": self.mark(name, where), "deep": [{"more": self.mark(name, where)}]}
        if "type" not in schema and "enum" not in schema:
            return {"said": self.mark(name or RECORD, where)}
        if schema.get("type") == "array":
            return [self.fill(schema["items"], where, name, known=known)]
        is_free = schema.get("type") in ("string", ["string", "null"]) and not {"enum", "format"} & set(schema)
        if is_free and (schema.get("pattern", r"\S") == r"\S" or not known):
            return self.mark(name, where)[: schema.get("maxLength")]
        return example_of(schema, self.components, name)

    def mark(self, name: str, where: str) -> str:
        return self.markers.of_field(name, where)

    def bodies(self, schema: Json, where: str) -> Iterator[Sent]:
        """The right one first, then all that are wrong."""
        filled = self.fill(schema, where) | SENSIBLE.get(where, {})
        fitting = {name: value for name, value in filled.items() if value is not None}
        yield Sent.of("fitting", fitting)
        yield Sent.of("strange", self.fill(schema, where, known=False))
        made = self.components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        holds_anything = made.get("additionalProperties") is True or "type" not in made
        for name in ("password",) if holds_anything else ("password", "unknown"):
            yield Sent.of("unknown field", fitting | {name: self.markers.secret(f"{where} unknown field {name}")})
        for name in fitting:
            # They take anything.
            if name not in ("capabilities",
            "result") and not (holds_anything and name not in made.get("properties", {})):
                wrong = [[self.markers.secret(f"{where} {name} of a wrong type")]]
                yield Sent.of("wrong type", fitting | {name: wrong})
        yield from self._plain_secrets(made, fitting, where)
        for called in ("password", DISGUISED, "deep.api-key ") if holds_anything else ():
            secret = self.markers.secret(f"{where} {called!a}")
            yield Sent.of("plain secret", fitting | {called: secret})
            yield Sent.of("plain secret", fitting | {"a": [{called: [secret]}]})
        marker = self.markers.secret(f"{where} not JSON")
        yield Sent("cut off", f'{{"password": "{marker}", "token": "{marker}", {marker}'.encode())
        yield Sent("no object", json.dumps([{"password": marker}]).encode())
        yield Sent("form", f"password={marker}&token={marker}".encode(), "application/x-www-form-urlencoded")
        yield Sent("not UTF-8", b'{"password": "\xff' + marker.encode() + b'"}')

    def _plain_secrets(self, made: Json, fitting: Json, where: str) -> Iterator[Sent]:
        """Secrets under a name that says so, in every object that takes anything."""
        for name, part in made.get("properties", {}).items():
            for called in ("password", DISGUISED, "deep.api-key "):
                if part.get("additionalProperties") is True:
                    secret = {"a": [{called: self.markers.secret(f"{where} {name}.{called!a}")}]}
                    yield Sent.of("plain secret", fitting | {name: secret})
        if "result" in made.get("properties", {}):  # an agent's word is not refused, but what is secret is taken out
            secret = self.markers.secret(f"{where} secret in what a command brought")
            said = {"result": {"password": secret, "said": f"token={secret}"}, "error_message": f"password={secret} x"}
            yield Sent.of("plain secret", fitting | said)
