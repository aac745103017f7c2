"""A local server that speaks the Realtime Database's REST protocol: for tests, and for the lab in a container.

It needs orjson and nothing else that is not in Python. `python -m tests.rtdb --help`.
"""
