"""Backs the stack up, proves the backups and brings them back.

Runs in the container `backup`, and imports nothing of webapp.
"""
