# --- The lab's practice room (tests/load/practice): appended to webapp/wiring.py in the image, never in the tree.
_wire = wire  # noqa: F821 - what stands above, in the file that this is appended to


def wire(settings=None):
    from webapp.practice import practice

    app = _wire(settings)
    app.register_blueprint(practice)
    return app
