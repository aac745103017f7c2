"""The parts of `host_state`: bring packages, users, files, commands and units to a declared state.

`spec` reads the declaration, one file per kind plans what differs, `converge` puts the plans in order and applies
them. Plans only read, so a check run and a real run say the same.
"""
