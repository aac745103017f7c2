"""Two secrets accepted, one that signs: through both halves of a rotation, and after it."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest

from webapp.auth import oauth, tokens, totp
from webapp.errors import TokenForged
from webapp.licensing import lease_tokens
from webapp.redaction import Secret
from webapp.sealed import seal
from webapp.signing import SigningKeys

OLD, NEW = Secret("o" * 32), Secret("n" * 32)
LEARNING, USING = SigningKeys(OLD, NEW), SigningKeys(NEW, OLD, time.time() + 3600)
BEFORE, AFTER = SigningKeys(OLD), SigningKeys(NEW, OLD, time.time() - 1)


class Lease:
    id = tenant_id = license_id = uuid4()
    runner_id = user_id = vm_uuid = agent_id = module = "one"


def bearer(secret: Secret) -> str:
    lives = timedelta(minutes=15)
    return tokens.access_token(secret, tenant=uuid4(), user_id="ada", session_id=uuid4(), lives=lives)


@pytest.mark.parametrize(
    ("keys", "accepted"),
    [(BEFORE, (OLD,)), (LEARNING, (OLD, NEW)), (USING, (NEW, OLD)), (AFTER, (NEW,))],
)
def test_what_is_accepted_in_each_stage(keys: SigningKeys, accepted: tuple[Secret, ...]) -> None:
    assert keys.accepted() == accepted


@pytest.mark.parametrize("keys", [LEARNING, USING])
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_in_between_tokens_of_both_are_good(keys: SigningKeys, secret: Secret) -> None:
    assert tokens.read(bearer(secret), keys).subject == "ada"
    assert lease_tokens.read(lease_tokens.mint(secret, Lease, seconds=60), keys).module == "one"
    begun = oauth.begin(secret, "github", "browser", None)
    resumed = oauth.resume(keys, begun.text, "github", "browser")
    assert resumed.errand("browser", "https://back") == begun.errand("browser", "https://back")


@pytest.mark.parametrize(("keys", "secret"), [(BEFORE, NEW), (AFTER, OLD), (USING, Secret("x" * 32))])
def test_before_and_after_only_one_is(keys: SigningKeys, secret: Secret) -> None:
    with pytest.raises(TokenForged):
        tokens.read(bearer(secret), keys)
    with pytest.raises(lease_tokens.LeaseTokenInvalid):
        lease_tokens.read(lease_tokens.mint(secret, Lease, seconds=60), keys)
    with pytest.raises(oauth.StateInvalid):
        oauth.resume(keys, oauth.begin(secret, "github", "browser", None).text, "github", "browser")


def test_a_second_factor_is_sealed_again_once() -> None:
    sealed = seal(totp._key(OLD), b"factor", b"ada")
    again = totp.resealed(sealed, "ada", USING)
    assert again is not None and totp.resealed(again, "ada", USING) is None
    assert totp.resealed(again, "ada", AFTER) is None
    assert totp.resealed(sealed, "ada", AFTER) is None, "nobody can open it any more"
    assert totp.resealed(sealed, "somebody else", USING) is None
