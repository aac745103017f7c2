"""What is sealed at rest under SESSION_SECRET, and outlives the time in which the one before is accepted."""

from __future__ import annotations

from contextlib import closing

import psycopg2

from webapp.auth.service import totp
from webapp.signing import SigningKeys

# Only where it is still what was read: a user may set another up meanwhile.
_PUT = "UPDATE auth_users SET totp_sealed = %s WHERE id = %s AND totp_sealed = %s"


def all_users(superuser: str, keys: SigningKeys) -> int:
    """Seal every second factor with the current secret; how many were not. Can be cut off and run again.

    Args:
        superuser: URL of the application's database, as one whom row level security does not bind: nobody else sees
            all users.
    """
    changed = 0
    with closing(psycopg2.connect(superuser, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, totp_sealed FROM auth_users WHERE totp_sealed IS NOT NULL")
            for user_id, sealed in cursor.fetchall():
                again = totp.resealed(bytes(sealed), user_id, keys)
                if again is not None:
                    cursor.execute(_PUT, (again, user_id, sealed))
                    changed += cursor.rowcount
    return changed
