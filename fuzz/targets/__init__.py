"""All targets, by name."""

from __future__ import annotations

from collections.abc import Mapping

from fuzz.target import Target
from fuzz.targets import clients, directories, http, links, messages, packets, passes, requests, texts

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (links, clients, packets, directories, texts, messages, passes, requests, http)
    for target in module.TARGETS
}
