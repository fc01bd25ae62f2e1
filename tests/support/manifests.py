"""The Kubernetes objects that kustomize makes, and small questions about them."""

import ipaddress
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.repository import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("base", "site", "gpu")
BACKENDS = ("segmentation", "sam")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Manifests:
    """Everything that one overlay sends to the cluster."""

    objects: Sequence[Object]

    def of(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        [found] = [found for found in self.of(kind) if found["metadata"]["name"] == name]
        return found

    def pod(self, name: str) -> Object:
        """The pod template of a Deployment."""
        template: Object = self.one("Deployment", name)["spec"]["template"]
        return template

    def container(self, name: str) -> Object:
        [container] = self.pod(name)["spec"]["containers"]
        return dict(container)

    def variables(self, name: str) -> dict[str, str]:
        """What a Deployment's container finds in its environment, less the secret."""
        sources = [source for source in self.container(name)["envFrom"] if "configMapRef" in source]
        names = [source["configMapRef"]["name"] for source in sources]
        return {k: v for name in names for k, v in self.one("ConfigMap", name)["data"].items()}

    def egress(self, name: str) -> list[Object]:
        """All that a Deployment's pods may connect to: the union of the policies."""
        return self.rules(self.pod(name)["metadata"]["labels"], "Egress")

    def ingress(self, name: str) -> list[Object]:
        """All that may connect to a Deployment's pods."""
        return self.rules(self.pod(name)["metadata"]["labels"], "Ingress")

    def rules(self, labels: Mapping[str, str], direction: str) -> list[Object]:
        """What the policies allow to pods with these labels."""
        specs = [policy["spec"] for policy in self.of("NetworkPolicy")]
        mine = [spec for spec in specs if selects(spec["podSelector"], labels)]
        assert any(direction in spec["policyTypes"] for spec in mine), f"{labels} are open"
        return [rule for spec in mine for rule in spec.get(direction.lower(), [])]


KUBECTL = Path(sys.executable).with_name("kubectl")


def build(folder: Path) -> Manifests:
    """What ``kubectl apply -k`` would send."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kustomize warns: {done.stderr}"
    return Manifests(tuple(yaml.safe_load_all(done.stdout)))


@cache
def overlay(name: str) -> Manifests:
    return build(KUBERNETES / name)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "only matchLabels are understood here"
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def reaches(rules: Sequence[Object], address: str, port: int | str) -> bool:
    """Whether rules of a policy let an address through on a port, by its CIDRs alone."""
    ip = ipaddress.ip_address(address)
    return any(
        port in {entry["port"] for entry in rule.get("ports", [{"port": port}])}
        and any(_contains(peer["ipBlock"], ip) for peer in _peers(rule) if "ipBlock" in peer)
        for rule in rules
    )


def pods_reached(rules: Sequence[Object]) -> set[tuple[str, int | str]]:
    """The pods of the own namespace that rules name, with the ports, where these are named."""
    return {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], entry["port"])
        for rule in rules
        for peer in _peers(rule)
        for entry in rule.get("ports", [])
        if "podSelector" in peer and "namespaceSelector" not in peer
    }


def _peers(rule: Object) -> list[Object]:
    peers: list[Object] = rule.get("to") or rule["from"]
    return peers


def _contains(block: Object, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inside = ip in ipaddress.ip_network(block["cidr"])
    return inside and not any(ip in ipaddress.ip_network(cidr) for cidr in block.get("except", []))
