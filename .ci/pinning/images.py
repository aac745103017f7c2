"""Images of the inventory: the mapping `stack_pins`, from a name with its tag to the same by digest."""

from __future__ import annotations

import yaml

from pinning import Kind, LookupFailed, Pin
from pinning.registry import DIGEST, Image, digest


def find(text: str) -> list[Pin]:
    """The entries of `stack_pins`, in the text's order.

    Raises: LookupFailed where the text is not YAML or has no such mapping.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise LookupFailed(f"not YAML: {error}") from error
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    pins = next((value for key, value in entries if key.value == "stack_pins"), None)
    if not isinstance(pins, yaml.MappingNode):
        raise LookupFailed('no `stack_pins` with lines such as "docker.io/library/caddy:2.11": ""')
    return [_pin(text, key, value) for key, value in pins.value]


def _pin(text: str, key: yaml.Node, value: yaml.Node) -> Pin:
    if not isinstance(value, yaml.ScalarNode):
        raise LookupFailed(f"{key.value}: neither empty nor a reference by digest")
    pinned = DIGEST.search(value.value)
    return Pin(key.value, pinned[0] if pinned else "", key.end_mark.index, value.end_mark.index)


def write(name: str, found: str) -> str:
    return f': "{name.rpartition(":")[0]}@{found}"'


IMAGES = Kind(find, lambda name: digest(Image.parse(name)), write)
