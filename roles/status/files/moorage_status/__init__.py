"""The public status page: what Prometheus has seen of each check, as a page and as JSON."""
