"""The plugins, importable, and the roles' templates, rendered without a host."""

from tests.rendering import facts, plugin, render

__all__ = ["facts", "plugin", "render"]
