"""What may be found in a source that does not go over by itself, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

# Kept of each finding, so that memory stays small whatever the source is like.
EXAMPLES = 5
MOST_FINDINGS = 2_000
_LONGEST_EXAMPLE = 200


class Fate(Enum):
    """What is done with what was found."""

    KEPT = "kept as it is"
    CONVERTED = "converted"
    LEFT_OUT = "left out"
    STOPS = "stops the cutover"


class Kind(Enum):
    """Each with its fate, and words for a person: what it is, and what to do where it stops."""

    def __init__(self, code: str, fate: Fate, words: str) -> None:
        self.code, self.fate, self.words = code, fate, words

    UNREADABLE = "unreadable", Fate.STOPS, "The record is no JSON or no UTF-8. Write it anew in the source."
    OVERSIZED = "oversized", Fate.STOPS, "Larger than 32 MB. Divide it in the source."
    NOT_AN_OBJECT = "not_an_object", Fate.STOPS, "A value where a record should be. Take it out of the collection."
    BAD_ID = "bad_id", Fate.STOPS, "An id that no record can have. Give it another in the source."
    NUL = "nul", Fate.STOPS, "A text or name has U+0000, which PostgreSQL cannot hold. Take it out in the source."
    TOO_DEEP = "too_deep", Fate.STOPS, "Nested deeper than 200 levels. Flatten it in the source."
    BAD_TIME = "bad_time", Fate.STOPS, "`created_at` or `updated_at` is no time. Correct it in the source."
    SECRET = (
        "plaintext_secret",
        Fate.STOPS,
        ("A secret in plain text. Seal it, or let the tenant's admin allow the path for what it migrates."),
    )
    NO_TENANT = (
        "unknown_tenant",
        Fate.STOPS,
        "No such tenant here. Take its records out of the source.",
    )
    STRAY = "stray", Fate.LEFT_OUT, "Not a path of the contract."
    ID_DIFFERS = (
        "id_differs",
        Fate.LEFT_OUT,
        "The field `id` is not the id that the record stands under, which counts.",
    )
    ARRAY_OF_RECORDS = "array_of_records", Fate.CONVERTED, "An array of RTDB's making: its places are ids and keys."
    LONG_FRACTION = "long_fraction", Fate.CONVERTED, "More digits than a double has: becomes the nearest double."
    MOMENT_NOTATION = "moment_notation", Fate.CONVERTED, "`created_at` and `updated_at` become milliseconds."
    LARGE = "large", Fate.KEPT, "Over 1 MiB: can be read, but not written as a whole through the API."
    DEEP = "deep", Fate.KEPT, "Nested deeper than 64 levels: can be read, but not written through the API."
    ODD_KEY = "odd_key", Fate.KEPT, "A name that RTDB cannot have: is escaped there on the way back."
    HOLES = "holes", Fate.KEPT, "An array with nulls, as RTDB makes of sparse integers."
    MIXED_TYPES = "mixed_types", Fate.KEPT, "One field has values of several types."
    TIME_NOTATIONS = "time_notations", Fate.KEPT, "One field has times in several notations: compared in milliseconds."
    LARGE_NUMBER = "large_number", Fate.KEPT, "An integer beyond 2^53: exact here, but not to JavaScript or RTDB."
    NOT_NORMAL = "not_normal", Fate.KEPT, "A text that is not in Unicode's normal form C."
    SAME_BUT_CASE = "same_but_case", Fate.KEPT, "Ids that differ only in case: they are two records."
    SAME_BUT_FORM = "same_but_form", Fate.KEPT, "Ids that look the same, in different Unicode forms: two records."
    MORE = "more", Fate.KEPT, "Further findings of many other fields, not listed one by one."


@dataclass
class Finding:
    """One kind of thing in one field of one collection. `detail`: such as the types that were met."""

    kind: Kind
    collection: str
    name: str = ""
    count: int = 0
    examples: list[str] = field(default_factory=list)
    detail: str = ""


class Findings:
    """Counts findings and keeps the first examples of each."""

    def __init__(self) -> None:
        self._found: dict[tuple[Kind, str, str], Finding] = {}

    def add(
        self, kind: Kind, collection: str, example: str, *, name: str = "", count: int = 1, detail: str = ""
    ) -> None:
        """`example`: the path of one record that has it, never a value."""
        key = (kind, collection, name)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MOST_FINDINGS and kind.fate is not Fate.STOPS:
                key = (Kind.MORE, collection, "")
            if len(self._found) >= 2 * MOST_FINDINGS:
                key = (kind, collection, "")
            found = self._found.setdefault(key, Finding(key[0], collection, key[2]))
        found.count += count
        found.detail = detail or found.detail
        if example and len(found.examples) < EXAMPLES:
            found.examples.append(printable(example))

    def __iter__(self) -> Iterator[Finding]:
        """What stops first, then by collection and field."""
        fates = list(Fate)[::-1]
        return iter(
            sorted(
                self._found.values(),
                key=lambda one: (fates.index(one.kind.fate), one.kind.code, one.collection, one.name),
            )
        )

    @property
    def stops(self) -> bool:
        return any(one.kind.fate is Fate.STOPS for one in self._found.values())


def printable(text: str) -> str:
    """A path as it can be written anywhere: what is no character of it as an escape, and not too long."""
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text[:_LONGEST_EXAMPLE])
    return shown.encode("utf-8", "backslashreplace").decode()
