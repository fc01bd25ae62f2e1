"""Ray's containers: the job of deploy/kubernetes/ray next to the backends, docker-compose.ray.yml.

KubeRay's own schema is not asked: no package has it.
"""

import ast
import re
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from ray.scripts import scripts

from sam_backend.settings import SamSettings
from tests.support.manifests import KUBERNETES, Manifests, Object, overlay, pods_reached, reaches

ROOT = KUBERNETES.parents[1]
OBJECTS = tuple(yaml.safe_load_all((KUBERNETES / "ray" / "rayjob.yaml").read_text()))
WITH_SITE = Manifests((*overlay("site").objects, *OBJECTS))
GROUPS = ("head", "workers")
OPERATOR = {
    "namespaceSelector": {},
    "podSelector": {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}},
}


def template(group: str) -> Any:
    cluster = WITH_SITE.one("RayJob", "predict")["spec"]["rayClusterSpec"]
    [workers] = cluster["workerGroupSpecs"]
    return {"head": cluster["headGroupSpec"], "workers": workers}[group]["template"]


def rules(group: str, direction: str) -> list[Object]:
    return WITH_SITE.rules(template(group)["metadata"]["labels"], direction)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_the_policies_and_the_pods_fit_the_schema_of_kubernetes(version: str) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", **template(group), "metadata": {"name": group}}
        for group in GROUPS
    ]
    policies = [found for found in OBJECTS if found["kind"] == "NetworkPolicy"]
    for found in (*pods, *policies):
        kubernetes_validate.validate(found, version, strict=True)


def test_all_is_in_the_namespace_that_has_the_secret() -> None:
    [namespace] = overlay("site").of("Namespace")
    assert {o["metadata"]["namespace"] for o in OBJECTS} == {namespace["metadata"]["name"]}
    used = overlay("site").container("segmentation")["envFrom"]
    for group in GROUPS:
        [container] = template(group)["spec"]["containers"]
        assert [source for source in container["envFrom"] if source in used]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("other", GROUPS)
def test_head_and_workers_reach_each_other_on_every_port(group: str, other: str) -> None:
    labels = template(other)["metadata"]["labels"]
    for direction, side in (("Egress", "to"), ("Ingress", "from")):
        open_to = [
            peer["podSelector"]["matchLabels"]
            for rule in rules(group, direction)
            if "ports" not in rule
            for peer in rule[side]
            if "namespaceSelector" not in peer
        ]
        assert any(wanted.items() <= labels.items() for wanted in open_to), direction


def test_the_operator_reaches_the_dashboard_and_nobody_else_from_another_namespace() -> None:
    from_elsewhere = [
        (peer, rule["ports"])
        for rule in rules("head", "Ingress")
        for peer in rule["from"]
        if "namespaceSelector" in peer
    ]
    assert from_elsewhere == [(OPERATOR, [{"port": 8265}])]


@pytest.mark.parametrize("group", GROUPS)
def test_ray_reaches_buckets_label_studio_and_names_and_no_other_address(group: str) -> None:
    egress = rules(group, "Egress")
    assert reaches(egress, "142.250.184.207", 443)
    assert reaches(egress, "10.0.0.10", 443)
    for private in ("10.0.0.11", "172.17.0.1", "169.254.169.254"):
        assert not reaches(egress, private, 443), private
    assert any({"port": 53, "protocol": "UDP"} in rule.get("ports", []) for rule in egress)


def test_embeddings_go_to_the_redis_that_sam_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    sam = overlay("site").variables("sam")
    for group in GROUPS:
        [container] = template(group)["spec"]["containers"]
        for entry in container["env"]:
            monkeypatch.setenv(entry["name"], entry["value"])
        settings = SamSettings()
        assert settings.redis_url is not None
        assert settings.redis_url.get_secret_value() == sam["REDIS_URL"]
        assert settings.embedding_disk_mb == 0
        assert ("redis", "redis") in pods_reached(rules(group, "Egress"))
    ray = {"matchLabels": {"segstudio/ray": "true"}}
    assert any({"podSelector": ray} in rule["from"] for rule in WITH_SITE.ingress("redis"))


@pytest.mark.parametrize("group", GROUPS)
def test_the_pods_are_held_by_the_restricted_standard(group: str) -> None:
    pod = template(group)["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        held = container["securityContext"]
        assert held["allowPrivilegeEscalation"] is False
        assert held["capabilities"] == {"drop": ["ALL"]}


def test_the_image_has_each_package_that_a_worker_imports() -> None:
    tree = ast.parse((ROOT / "segstudio" / "predict" / "stages.py").read_text())
    imported = {
        node.module.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    ours = {name for name in imported if (ROOT / name).is_dir()}
    assert {"segmentation_backend", "sam_backend"} <= ours
    base = (ROOT / "Dockerfile").read_text().partition("FROM backend AS sam\n")[0]
    text = base + (KUBERNETES / "ray" / "Dockerfile").read_text()
    assert ours <= set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))


def test_the_job_names_the_version_of_ray_in_the_image() -> None:
    locks = (ROOT / "requirements" / "bulk.txt").read_text()
    [locked] = re.findall(r"^ray==(\S+)", locks, re.MULTILINE)
    assert WITH_SITE.one("RayJob", "predict")["spec"]["rayClusterSpec"]["rayVersion"] == locked


def compose(service: str) -> Any:
    return yaml.safe_load((ROOT / "docker-compose.ray.yml").read_text())["services"][service]


@pytest.mark.parametrize("service", ["head", "worker"])
def test_ray_that_gave_up_starting_on_a_busy_machine_is_started_again(service: str) -> None:
    assert compose(service)["restart"].startswith("on-failure")


@pytest.mark.parametrize("service", ["head", "worker"])
def test_ray_knows_each_option_that_it_is_started_with(service: str) -> None:
    ray, start, *options = compose(service)["command"]
    assert (ray, start) == ("ray", "start")
    known = {name for parameter in scripts.start.params for name in parameter.opts}
    assert {option.partition("=")[0] for option in options} <= known


def test_what_embed_is_told_by_the_environment_reaches_the_containers() -> None:
    for service in ("worker", "head"):
        environment = compose(service)["environment"]
        assert {"REDIS_URL", "SAM_MODEL"} <= set(environment)
        assert environment["EMBEDDING_DISK_MB"] == "0", "it would fill the container's memory"
