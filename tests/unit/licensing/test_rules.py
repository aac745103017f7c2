"""What a lease needs, as a table: the first reason in the contract's order is the one that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webapp.licensing.rules import Standing, refusals

GOOD = Standing("ada", "active", "ada", licensed=True, entitled=True, module_allowed=True)
CASES = [
    ("nothing is wrong", {}, []),
    ("unknown", {"vm_status": None, "vm_user_id": None}, ["VM_NOT_REGISTERED", "VM_INACTIVE", "VM_OWNER_MISMATCH"]),
    ("paused", {"vm_status": "paused"}, ["VM_INACTIVE"]),
    ("revoked", {"vm_status": "revoked"}, ["VM_INACTIVE"]),
    ("another's", {"vm_user_id": "bob"}, ["VM_OWNER_MISMATCH"]),
    ("no licence", {"licensed": False}, ["LICENSE_INACTIVE"]),
    ("no entitlement", {"entitled": False, "module_allowed": False}, ["ENTITLEMENT_REQUIRED", "MODULE_NOT_ALLOWED"]),
    ("another module", {"module_allowed": False}, ["MODULE_NOT_ALLOWED"]),
    ("paused and no licence", {"vm_status": "paused", "licensed": False}, ["VM_INACTIVE", "LICENSE_INACTIVE"]),
]


@pytest.mark.parametrize(("change", "codes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_refusals_come_in_order(change: dict[str, object], codes: list[str]) -> None:
    assert [error.code for error in refusals(replace(GOOD, **change))] == codes
