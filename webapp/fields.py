"""The kinds of fields that the contract's bodies are made of, beside marshmallow's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate

from webapp.errors import MoorageError
from webapp.redaction import names_a_secret
from webapp.responses import milliseconds, rfc3339

# PostgreSQL's integer and bigint; JSON's own numbers are exact up to 2^53.
LARGEST_INT = 2**31 - 1
LARGEST_EXACT = 2**53 - 1
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class PlaintextSecretRefused(MoorageError):
    """A value under a name that says secret. `details.path` names it; the value is not repeated."""

    status, code = 400, "PLAINTEXT_SECRET_REFUSED"
    message = "A field holds a secret in plain text; details.path names it. Seal it, and give a secret_ref instead."

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The field {path} holds a secret in plain text. Seal it (`moorage secret seal`), store it under "
            "/api/v1/secrets, and give a secret_ref in its place.",
            details={"path": path},
        )


class Body(Schema):
    """What clients send: unknown fields are refused."""


class AnyValue(Body):
    """Any JSON value, loaded as `{"value": …}`."""

    value = fields.Raw(required=True)

    def load(self, data: Any, **_: Any) -> dict[str, Any]:
        return {"value": data}


class View(Schema):
    """What clients get: a field without a value is left out, but for those that `Nullable` names."""

    NULLABLE: frozenset[str] = frozenset()


class OpenView(View):
    """Goes out as it is: what is declared is in it, and whatever else there is."""


class Gone(View):
    """What was deleted."""

    id = fields.String()
    deleted = fields.Boolean()


class Text(fields.String):
    """A string of `low` to `high` characters; where `low` is 1, not blank."""

    def __init__(self, high: int, *, low: int = 1, **options: Any) -> None:
        checks: list[Any] = [validate.Length(min=low, max=high)]
        super().__init__(validate=checks + list(options.pop("checks", [])), **options)
        self._low = low

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str:
        text = super()._deserialize(value, *rest, **more)
        if self._low and not text.strip():
            raise ValidationError("Must not be blank.")
        return text


class Moment(fields.Field[datetime]):
    """RFC 3339 in UTC with a Z on the way out; any offset on the way in."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else rfc3339(value)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise ValidationError("Not an RFC 3339 time such as 2026-11-20T20:00:00Z.")
        try:
            # Python knows microseconds; what is finer is cut off.
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper())).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("Not a time that exists.") from None


class Millis(fields.Field[datetime]):
    """Milliseconds since the epoch, as an integer. Only on the way out."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> int | None:
        return None if value is None else milliseconds(value)


def uuid_of(text: str) -> UUID | None:
    """The id that a client's text is; None for one that cannot be an id of ours, and so is simply not known."""
    return UUID(text) if _UUID.fullmatch(text) else None


class Identifier(fields.String):
    """An id as clients have it. One that cannot be an id is simply not known: the service says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=200), **options)


class Whole(fields.Integer):
    """An integer, not a text that looks like one, from `low` to `high`."""

    def __init__(self, low: int, high: int, **options: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=low, max=high), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> int:
        if isinstance(value, bool | str):
            raise ValidationError("Not a valid integer.")
        return super()._deserialize(value, attr, data, **more)


class OpenObject(fields.Dict):
    """An object of any content, but for secrets in plain text.

    Raises PlaintextSecretRefused: not a ValidationError, because clients tell the two apart.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        loaded = super()._deserialize(value, attr, data, **more)  # type: ignore[no-untyped-call]  # marshmallow's
        refuse_plaintext(loaded, path=attr or "")
        return loaded


def refuse_plaintext(value: Any, *, path: str, allowed: Iterable[str] = ()) -> None:
    """Raises PlaintextSecretRefused for the first non-empty text under a name that says secret, at any depth.

    `allowed` are paths that a tenant lets through (`records.bots.token`; a list's items have no part of their own).
    """
    waiting: list[tuple[str, str, Any]] = [(path, "", value)]
    permitted = frozenset(allowed)
    while waiting:
        where, name, item = waiting.pop()
        if isinstance(item, Mapping):
            waiting += [(f"{where}.{key}" if where else str(key), str(key), inner) for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [(where, name, inner) for inner in item]
        elif isinstance(item, str) and item and name and names_a_secret(name) and where not in permitted:
            raise PlaintextSecretRefused(where)
