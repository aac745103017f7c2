"""Password verifiers as PostgreSQL keeps them."""

from __future__ import annotations

import base64

import pytest

from webapp.database.scram import fits, verifier
from webapp.redaction import Secret

# RFC 7677's example: user "user", password "pencil", this salt, 4096 rounds. The exchange there proves that
# ServerKey signs it; the keys themselves are what any implementation derives from those three.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_it_is_written_as_postgresql_writes_it() -> None:
    made = verifier(Secret("pencil"), salt=SALT)
    assert made == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_password_fits_its_verifier_and_no_other() -> None:
    stored = verifier(Secret("right"))
    assert fits(Secret("right"), stored) and not fits(Secret("wrong"), stored)


def test_two_verifiers_of_one_password_differ() -> None:
    assert verifier(Secret("same")) != verifier(Secret("same"))


@pytest.mark.parametrize("stored", [None, "", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$x", "plain"])
def test_nothing_fits_what_is_no_verifier(stored: str | None) -> None:
    assert not fits(Secret("x"), stored)
