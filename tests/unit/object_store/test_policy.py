"""What the restricted user may do."""

from __future__ import annotations

import json

from webapp.object_store.policy import policy_of, same


def test_its_own_bucket_and_nothing_about_the_bucket_itself() -> None:
    statements = json.loads(policy_of("artifacts"))["Statement"]
    actions = {action for statement in statements for action in statement["Action"]}
    resources = {resource for statement in statements for resource in statement["Resource"]}
    assert resources == {"arn:aws:s3:::artifacts", "arn:aws:s3:::artifacts/*"}
    assert not {action for action in actions if "*" in action or "Policy" in action or "DeleteBucket" in action}
    assert all("Principal" not in statement for statement in statements)


def test_a_buckets_policy_names_one_user() -> None:
    statements = json.loads(policy_of("artifacts", "arn:aws:iam:::user/moorage"))["Statement"]
    assert {json.dumps(statement["Principal"]) for statement in statements} == {
        '{"AWS": ["arn:aws:iam:::user/moorage"]}'
    }


def test_the_same_in_another_order_and_form_is_the_same() -> None:
    wanted = policy_of("b", "arn:aws:iam:::user/moorage")
    document = json.loads(wanted)
    document["Statement"].reverse()
    for statement in document["Statement"]:
        statement["Action"].reverse()
        statement["Resource"] = statement["Resource"][0]
        statement["Principal"]["AWS"] = statement["Principal"]["AWS"][0]
    assert same(json.dumps(document), wanted)
    document["Statement"][0]["Action"].append("s3:DeleteBucket")
    assert not same(json.dumps(document), wanted)
