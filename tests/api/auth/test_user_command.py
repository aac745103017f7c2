"""`moorage user create` makes somebody who can log in."""

from __future__ import annotations

import secrets

from click.testing import CliRunner
from flask.testing import FlaskClient

from tests.api.people import Person, Town, data, refusal
from webapp.cli import moorage

PASSWORD = "correct horse battery"


def test_who_was_made_logs_in_with_the_role_they_were_given(run: CliRunner, town: Town, client: FlaskClient) -> None:
    email = f"ada-{secrets.token_hex(4)}@example.org"
    options = ["user", "create", "--tenant", str(town.tenant), "--email", email, "--role", "infra"]
    made = run.invoke(moorage, options, input=f"{PASSWORD}\n")
    assert made.exit_code == 0 and PASSWORD not in made.output
    tokens = data(client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD}))
    assert tokens["expires_in"] == 900
    me = data(Person(client, tokens["access_token"]).get("/api/v1/auth/whoami"))
    assert me == {"uid": made.stdout.strip(), "email": email, "roles": ["infra"], "tenant_id": str(town.tenant)}
    wrong = client.post("/api/v1/auth/login", json={"email": email, "password": "another horse battery"})
    assert refusal(wrong)[0] == 401
    again = run.invoke(moorage, options, input=f"{PASSWORD}\n")
    assert again.exit_code == 1 and again.stderr.startswith("EMAIL_TAKEN: ")


def test_a_password_that_is_too_short_is_refused(run: CliRunner, town: Town) -> None:
    options = ["user", "create", "--tenant", str(town.tenant), "--email", "x@example.org", "--role", "admin"]
    refused = run.invoke(moorage, options, input="short\n")
    assert refused.exit_code == 1 and refused.stdout == ""
