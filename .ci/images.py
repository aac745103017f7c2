#!/usr/bin/env python3
"""Builds the product's images, looks into them, and ships them: pushed, with their documents, signed, verified.

What it does with an image it does with each of `.ci/images.yml`. A step that fails ends it, before anything later.
"""

# ruff: noqa: T201 - a command's output is what it is for

from __future__ import annotations

import argparse
import json
import os
import sys

from shipping import Refused, cosign, engine, provenance, trivy
from shipping.products import REGISTRY, TAG, arguments_of, checked, commit, declared, default_tag, is_clean
from shipping.record import Built, load


def built(tag: str) -> list[Built]:
    """What was built under a tag."""
    return [load(product.name, tag) for product in declared().products]


def build(options: argparse.Namespace) -> None:
    """Build every image and look into it for secrets and misconfigurations."""
    everything = declared()
    given = dict(pair.split("=", 1) for pair in options.build_arg)
    revision, clean = commit(), is_clean()
    for product in everything.products:
        bases, loose = arguments_of(product, everything.pins, given)
        for base in loose:
            print(f"note: {base} is named by a tag alone; `make pin` writes its digest", flush=True)
        image = engine.build(product, options.tag, bases, options.secret, commit=revision, clean=clean)
        trivy.look_inside(image)
        print(f"{image.local}: built; no secret, no misconfiguration", flush=True)


def scan(options: argparse.Namespace) -> None:
    """Compare what the images hold with the known vulnerabilities; without data this fails."""
    refusals = []
    for image in built(options.tag):
        try:
            print(trivy.vulnerabilities(image), flush=True)
        except Refused as refused:
            refusals.append(str(refused))
    if refusals:
        raise Refused("\n".join(refusals))


def ship(options: argparse.Namespace) -> None:
    """Push the images, attach bill of materials and provenance, sign by digest, verify; then move the moving tag."""
    who = cosign.signer(os.environ)
    images = [
        image.pushed(options.registry, engine.push(image, options.registry, image.tag)) for image in built(options.tag)
    ]
    for image in images:
        trivy.bill_of_materials(image)
        image.document("provenance").write_text(json.dumps(provenance.predicate(image, os.environ), indent=2))
        cosign.attest(image, who)
        cosign.sign(image, who)
        if cosign.verify(image.repository, image.tag, who) != image.digest:
            raise Refused(f"{image.repository}:{image.tag} is no longer what was pushed just now ({image.digest}).")
        print(f"{image.save().reference}: {image.tag}, signed, with its documents", flush=True)
    # Last: whoever follows the moving tag finds only images that are whole.
    for image in images if options.latest else []:
        if engine.push(image, options.registry, options.latest) != image.digest:
            raise Refused(f"{image.repository}:{options.latest} is not what {image.tag} is.")
        print(f"{image.repository}:{options.latest} is {image.tag}")


def verify(options: argparse.Namespace) -> None:
    """Print the digest of each image under a tag (JSON), if it is signed as that and has its documents."""
    who = cosign.signer(os.environ)
    names = [product.name for product in declared().products]
    print(json.dumps({name: cosign.verify(f"{options.registry}/{name}", options.tag, who) for name in names}))


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    root = argparse.ArgumentParser(prog="images", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for step in (build, scan, ship, verify):
        command = commands.add_parser(step.__name__, help=step.__doc__)
        command.set_defaults(run=step)
        command.add_argument("--tag", default="", help="default: sha-<short> of the commit, if the tree is clean")
        if step in (ship, verify):
            command.add_argument("--registry", required=True, help="with its path, as ghcr.io/example/product")
        if step is ship:
            command.add_argument("--latest", default="", help="a tag to move to these images at the end")
        if step is build:
            command.add_argument("--build-arg", action="append", default=[], metavar="NAME=IMAGE")
            command.add_argument("--secret", action="append", default=[], metavar="id=NAME,src=FILE")
    return root


def main() -> int:
    """Run the step; what goes wrong is said in one paragraph."""
    options = parser().parse_args()
    try:
        options.tag = checked(TAG, options.tag or default_tag(), "an image tag")
        if "registry" in options:
            options.registry = checked(REGISTRY, options.registry.lower(), "a registry, with its path")
        options.run(options)
    except Refused as refused:
        print(f"images: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
