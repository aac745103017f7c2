"""What became of a test alert, read from Alertmanager's own numbers."""

from __future__ import annotations

import pytest

METRICS = """\
# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration="telegram",receiver_name="team"} 3
alertmanager_notification_requests_total{integration="webhook",receiver_name="pager"} 2
alertmanager_notification_requests_failed_total{integration="telegram",receiver_name="team"} 1
alertmanager_notification_requests_failed_total{integration="webhook",receiver_name="pager"} 2
alertmanager_notifications_total{integration="webhook",receiver_name="pager"} 9
"""


def test_attempts_and_failures_are_counted_by_receiver(plugin):
    attempts = plugin("modules", "alert_test").attempts
    assert attempts(METRICS) == {"team": (3, 1), "pager": (2, 2)}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((3, 1), "waiting"),
        ((4, 1), "took"),
        ((4, 2), "refused"),
        ((6, 3), "took"),  # refused at first, and taken when it was tried again
    ],
)
def test_a_receiver_took_it_when_an_attempt_did_not_fail(plugin, after, said):
    outcome = plugin("modules", "alert_test").outcome
    assert outcome({"team": (3, 1)}, {"team": after}, ["team"]) == {"team": said}


def test_a_receiver_that_alertmanager_does_not_know_waits(plugin):
    assert plugin("modules", "alert_test").outcome({}, {}, ["team"]) == {"team": "waiting"}
