"""Secrets kept as ciphertext, and what they are bound to. handing.py gives them to agents, allowances.py keeps the
list of what may be plain; all three are this room's service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from webapp import finding
from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.listing import Page, page_of
from webapp.vaulting.allowances import allow, allowed_paths
from webapp.vaulting.handing import acknowledge, hand_out
from webapp.vaulting.models import Binding, StoredSecret, Version
from webapp.vaulting.refusals import BindingNotFound, SecretNotFound, SecretOwnerMismatch

__all__ = ["acknowledge", "allow", "allowed_paths", "bind", "bindings", "create", "hand_out", "rotate", "secrets"]

By = Caller | audit.Actor


def create(session: Session, by: By, given: Mapping[str, Any]) -> StoredSecret:
    """A new secret, version 1. Nothing here can read it."""
    made = StoredSecret(
        id=uuid4(), tenant_id=by.tenant, label=given["label"], owner_user_id=_name(by), version=1,
        alg=given["alg"], key_id=given["key_id"], aad_meta=given.get("aad_meta"),
    )  # fmt: skip
    session.add(made)
    session.flush()
    _add_version(session, made, given)
    _tell(session, by, "secret_created", made)
    session.refresh(made)
    return made


def rotate(session: Session, caller: Caller, secret_id: str, given: Mapping[str, Any]) -> StoredSecret:
    """The secret's next version. The one before stays, until an agent has acknowledged this one; older ones go.

    Raises SecretNotFound, SecretOwnerMismatch.
    """
    found = _own(session, caller, secret_id)
    # Of two who rotate at once, the second one's version follows the first one's.
    session.refresh(found, with_for_update=True)
    found.version += 1
    found.alg, found.key_id = given.get("alg") or found.alg, given["key_id"]
    if "aad_meta" in given:
        found.aad_meta = given["aad_meta"]
    found.rotated_at = found.updated_at = func.now()
    session.flush()
    _add_version(session, found, given)
    session.execute(delete(Version).where(Version.secret_id == found.id, Version.version < found.version - 1))
    _tell(session, caller, "secret_rotated", found)
    session.refresh(found)
    return found


def secret_of(session: Session, secret_id: str) -> StoredSecret:
    """Raises SecretNotFound."""
    return finding.found(session, StoredSecret, secret_id, SecretNotFound)


def secrets(session: Session, asked: Mapping[str, Any]) -> Page:
    """What is known of the tenant's secrets, page by page. `asked` is a loaded query of SECRETS."""
    names = ("created_at", "label", "updated_at")
    sortable = {name: getattr(StoredSecret, name) for name in names}
    searched = (StoredSecret.label, StoredSecret.key_id)
    return page_of(session, select(StoredSecret), asked, sortable=sortable, searched=searched, tie=StoredSecret.id)


def bind(session: Session, by: By, given: Mapping[str, Any]) -> Binding:
    """The binding, made where it is not there yet. A member's own reaches that member's agents alone: else it could
    put a value of theirs into what other people's agents do.

    Raises SecretNotFound; SecretOwnerMismatch for a member and somebody else's secret.
    """
    secret = _own(session, by, given["secret_ref"])
    session.refresh(secret, with_for_update=True)  # of two who bind the same at once, one makes the row
    only = by.user_id if isinstance(by, Caller) and not by.manages else None
    same = select(Binding).where(
        Binding.secret_id == secret.id, Binding.scope_type == given["scope_type"],
        Binding.scope_id == given["scope_id"], Binding.field_name == given["field_name"],
        Binding.only_user_id.is_not_distinct_from(only),
    )  # fmt: skip
    found = session.scalars(same).first()
    if found is not None:
        return found
    made = Binding(
        id=uuid4(), tenant_id=by.tenant, scope_type=given["scope_type"], scope_id=given["scope_id"],
        field_name=given["field_name"], secret_id=secret.id, only_user_id=only, created_by=_name(by),
    )  # fmt: skip
    session.add(made)
    session.flush()
    session.refresh(made)
    audit.record(session, by, "binding_created", subject=made.id, details=_facts(made))
    return made


def bindings(session: Session, asked: Mapping[str, Any]) -> Page:
    """The tenant's bindings, page by page. `asked` is a loaded query of BINDINGS."""
    query = select(Binding)
    for name in ("scope_type", "scope_id"):
        if asked.get(name):
            query = query.where(getattr(Binding, name) == asked[name])
    sortable = {name: getattr(Binding, name) for name in ("created_at", "field_name")}
    return page_of(session, query, asked, sortable=sortable, searched=(Binding.field_name,), tie=Binding.id)


def unbind(session: Session, caller: Caller, binding_id: str) -> dict[str, Any]:
    """`{id, deleted}`. Raises BindingNotFound; SecretOwnerMismatch for a member and somebody else's binding."""
    # Of two who take it away at once, one does.
    found = finding.found(session, Binding, binding_id, BindingNotFound, lock=True)
    if not caller.manages and found.only_user_id != caller.user_id:
        raise SecretOwnerMismatch
    session.delete(found)
    audit.record(session, caller, "binding_deleted", subject=found.id, details=_facts(found))
    return {"id": found.id, "deleted": True}


def _own(session: Session, by: By, secret_id: str) -> StoredSecret:
    found = secret_of(session, secret_id)
    if isinstance(by, Caller) and not by.manages and found.owner_user_id != by.user_id:
        raise SecretOwnerMismatch
    return found


def _add_version(session: Session, secret: StoredSecret, given: Mapping[str, Any]) -> None:
    session.add(
        Version(
            secret_id=secret.id, version=secret.version, tenant_id=secret.tenant_id, alg=secret.alg,
            key_id=secret.key_id, nonce=given["nonce"], ciphertext=given["ciphertext"], aad_meta=secret.aad_meta,
        )
    )
    session.flush()


def _tell(session: Session, by: By, event: str, secret: StoredSecret) -> None:
    details = {"version": secret.version, "alg": secret.alg, "key_id": secret.key_id}
    audit.record(session, by, event, subject=secret.id, details=details)


def _facts(binding: Binding) -> dict[str, str]:
    scope = f"{binding.scope_type}:{binding.scope_id}"
    return {"scope": scope, "field_name": binding.field_name, "secret_ref": str(binding.secret_id)}


def _name(by: By) -> str:
    return by.user_id if isinstance(by, Caller) else by.id
