"""The runner: fetches one released artifact under a lease, whole and verified or not at all."""
