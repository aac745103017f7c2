"""Prometheus and what it asks, as Debian packages them, started for a test."""
