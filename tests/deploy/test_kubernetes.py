"""deploy/kubernetes: valid, fitting the backends that it runs, and closed."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from ml_backend.errors import ModelError
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.models.checkpoints import CHECKPOINTS
from ml_backend.serving.app import create_app
from ml_backend.serving.settings import BackendSettings
from sam_backend.settings import SamSettings
from segmentation_backend.learning.store import learned_folder
from segmentation_backend.settings import SegmentationSettings
from tests.support.manifests import (
    BACKENDS,
    KUBECTL,
    KUBERNETES,
    OVERLAYS,
    Manifests,
    build,
    overlay,
    pods_reached,
    reaches,
    selects,
)

SETTINGS: dict[str, type[BackendSettings]] = {
    "segmentation": SegmentationSettings,
    "sam": SamSettings,
}
README = (KUBERNETES / "README.md").read_text()
SECRET = "segstudio"
LABEL_STUDIO = "10.0.0.10"
BUCKETS = "142.250.184.207"


def settings_of(manifests: Manifests, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for variable, value in manifests.variables(name).items():
        monkeypatch.setenv(variable, value)
    return SETTINGS[name]()


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return overlay(request.param)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_every_object_fits_the_schema_of_kubernetes(manifests: Manifests, version: str) -> None:
    for found in manifests.objects:
        kubernetes_validate.validate(found, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    service = {**overlay("base").one("Service", "sam"), "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, "1.37", strict=True)


def test_all_objects_live_in_the_one_namespace(manifests: Manifests) -> None:
    [namespace] = manifests.of("Namespace")
    others = [found for found in manifests.objects if found["kind"] != "Namespace"]
    assert {o["metadata"]["namespace"] for o in others} == {namespace["metadata"]["name"]}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_listens_where_the_cluster_looks_for_it(
    manifests: Manifests, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(manifests, name, monkeypatch)
    [port] = manifests.container(name)["ports"]
    [published] = manifests.one("Service", name)["spec"]["ports"]
    assert settings.host == "0.0.0.0"
    assert port["containerPort"] == published["port"] == settings.port
    assert published["targetPort"] == port["name"]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_variable_is_a_setting_of_some_backend(manifests: Manifests, name: str) -> None:
    known = {field.upper() for kind in SETTINGS.values() for field in kind.model_fields}
    assert set(manifests.variables(name)) <= known


def test_the_guide_makes_the_secret_of_the_secret_settings_alone(tmp_path: Path) -> None:
    [command] = re.findall(r"^ *(grep .*\n.*create secret .*)$", README, re.MULTILINE)
    (tmp_path / ".env").write_text(
        "LABEL_STUDIO_URL=http://elsewhere\nLABEL_STUDIO_API_KEY=abc\n"
        "GOOGLE_APPLICATION_CREDENTIALS_BASE64=e30=\nBASIC_AUTH_PASS=x\n"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{command} --dry-run=client -o yaml"],
        cwd=tmp_path,
        env={"PATH": f"{KUBECTL.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    secret = yaml.safe_load(done.stdout)
    read = {k: base64.b64decode(v).decode() for k, v in secret["data"].items()}
    assert read == {"LABEL_STUDIO_API_KEY": "abc", "GOOGLE_APPLICATION_CREDENTIALS_BASE64": "e30="}
    assert {name.lower() for name in read} <= set(BackendSettings.model_fields)
    assert secret["metadata"] == {"name": SECRET, "namespace": "segstudio"}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_reads_the_secret_of_the_guide(manifests: Manifests, name: str) -> None:
    assert {"secretRef": {"name": SECRET}} in manifests.container(name)["envFrom"]


def probe(manifests: Manifests, name: str, kind: str) -> Any:
    container = manifests.container(name)
    asked = container[f"{kind}Probe"]["httpGet"]
    assert asked["port"] in {port["name"] for port in container["ports"]}
    return asked["path"]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_pod_whose_model_does_not_load_is_alive_but_gets_no_requests(
    manifests: Manifests, name: str
) -> None:
    def fail() -> Predictor:
        raise ModelError("no weights", "put them there")

    client = create_app(fail, SETTINGS[name]()).test_client()
    assert client.get(probe(manifests, name, "liveness")).status_code == 200
    assert client.get(probe(manifests, name, "readiness")).status_code == 503
    assert client.get(probe(manifests, name, "startup")).status_code == 503


@pytest.mark.parametrize("name", BACKENDS)
def test_requests_at_work_are_finished_before_a_pod_ends(manifests: Manifests, name: str) -> None:
    graceful_stop = 30  # seconds, in ml_backend/serving/gunicorn.py
    drained = manifests.container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert manifests.pod(name)["spec"]["terminationGracePeriodSeconds"] > drained + graceful_stop


def containers(manifests: Manifests) -> Iterator[tuple[Any, Any]]:
    for deployment in manifests.of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield pod, container


def test_every_container_is_held_by_the_restricted_standard(manifests: Manifests) -> None:
    for pod, container in containers(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        held = container["securityContext"]
        assert held["allowPrivilegeEscalation"] is False
        assert held["readOnlyRootFilesystem"] is True
        assert held["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in held
    [namespace] = manifests.of("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_container_asks_for_what_it_needs_and_is_limited(manifests: Manifests) -> None:
    for _, container in containers(manifests):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


@pytest.mark.parametrize("name", BACKENDS)
def test_what_a_backend_writes_lies_on_its_volume_and_fits(
    manifests: Manifests, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(manifests, name, monkeypatch)
    room = rooms(manifests, name)
    assert set(room) == {"/tmp", "/models"}
    assert settings.image_cache_dir.is_relative_to("/tmp")
    caches = settings.image_cache_mb + getattr(settings, "embedding_disk_mb", 0)
    assert caches + 512 <= room["/tmp"] >> 20, (
        "the pod is evicted once they fill; bodies and downloads need room"
    )
    assert settings.models_dir == Path("/models")
    assert max(weights.size for weights in CHECKPOINTS) < room["/models"]
    limit = size(manifests.container(name)["resources"]["limits"]["ephemeral-storage"])
    assert sum(room.values()) < limit


def rooms(manifests: Manifests, name: str) -> dict[str, int]:
    """Bytes that the volumes of a backend hold, by where they are mounted."""
    volumes = {each["name"]: each["emptyDir"] for each in manifests.pod(name)["spec"]["volumes"]}
    mounts = manifests.container(name)["volumeMounts"]
    return {each["mountPath"]: size(volumes[each["name"]]["sizeLimit"]) for each in mounts}


def size(quantity: str) -> int:
    """Bytes of a quantity such as ``3Gi``."""
    units = {"Mi": 20, "Gi": 30}
    return int(quantity[:-2]) << units[quantity[-2:]]


@pytest.mark.parametrize("name", BACKENDS)
def test_weights_of_the_image_are_linked_where_the_backend_looks(
    manifests: Manifests, name: str
) -> None:
    [first] = manifests.pod(name)["spec"]["initContainers"]
    own = manifests.container(name)
    assert first["image"] == own["image"]
    assert first["command"] == ["python", "-m", "segstudio", "stack", "models", "auto"]
    assert first["envFrom"][0] == own["envFrom"][0], "MODELS_DIR"
    assert first["volumeMounts"] == own["volumeMounts"]


@pytest.mark.parametrize("name", BACKENDS)
def test_with_a_gpu_the_biggest_model_fits_into_memory_with_its_file_and_cuda(name: str) -> None:
    limit = size(overlay("gpu").container(name)["resources"]["limits"]["memory"])
    assert 2 * max(weights.size for weights in CHECKPOINTS) + (2 << 30) < limit


@pytest.mark.parametrize("name", [*BACKENDS, "redis"])
def test_services_find_their_pods(manifests: Manifests, name: str) -> None:
    labels = manifests.pod(name)["metadata"]["labels"]
    service = manifests.one("Service", name)["spec"]
    [port] = manifests.container(name)["ports"]
    assert service["selector"].items() <= labels.items()
    assert service["ports"][0]["targetPort"] == port["name"]


@pytest.mark.parametrize("name", BACKENDS)
def test_each_backend_scales_and_survives_the_drain_of_a_node(
    manifests: Manifests, name: str
) -> None:
    labels = manifests.pod(name)["metadata"]["labels"]
    scaler = manifests.one("HorizontalPodAutoscaler", name)["spec"]
    budget = manifests.one("PodDisruptionBudget", name)["spec"]
    deployment = manifests.one("Deployment", name)
    assert scaler["scaleTargetRef"]["name"] == name
    assert scaler["minReplicas"] < scaler["maxReplicas"]
    assert "replicas" not in deployment["spec"], "it would undo the autoscaler on each apply"
    assert selects(budget["selector"], labels)
    assert budget["maxUnavailable"] == 1
    other = next(backend for backend in BACKENDS if backend != name)
    assert not selects(budget["selector"], manifests.pod(other)["metadata"]["labels"])


def test_each_policy_is_about_some_pod(manifests: Manifests) -> None:
    pods = [manifests.pod(name)["metadata"]["labels"] for name in (*BACKENDS, "redis")]
    for policy in manifests.of("NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        assert any(selects(selector, labels) for labels in pods), policy["metadata"]["name"]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_reaches_label_studio_storage_and_names_and_nothing_else(name: str) -> None:
    rules = overlay("site").egress(name)
    assert reaches(rules, LABEL_STUDIO, 443)
    assert reaches(rules, BUCKETS, 443)
    assert not reaches(rules, BUCKETS, 80)
    for private in ("10.0.0.11", "172.17.0.1", "192.168.1.1", "169.254.169.254"):
        assert not reaches(rules, private, 443), private
        assert not reaches(rules, private, 80), private
    names = [rule for rule in rules if {"port": 53, "protocol": "UDP"} in rule["ports"]]
    assert len(names) == 1
    ports = {entry["port"] for rule in rules for entry in rule["ports"]}
    assert ports - {port for _, port in pods_reached(rules)} == {443, 53}


def test_opened_tasks_are_passed_on_to_sam(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = manifests.container("sam")["ports"]
    assert ("sam", port["name"]) in pods_reached(manifests.egress("segmentation"))
    assert pods_reached(manifests.ingress("sam")) == {("segmentation", port["name"])}
    assert pods_reached(manifests.ingress("segmentation")) == set()
    [published] = manifests.one("Service", "sam")["spec"]["ports"]
    url = settings_of(manifests, "segmentation", monkeypatch).sam_prewarm_url
    assert url == f"http://sam:{published['port']}/prewarm"
    assert published["targetPort"] == port["name"]


def test_redis_is_for_the_backends_alone(manifests: Manifests) -> None:
    [port] = manifests.container("redis")["ports"]
    [sam] = manifests.container("sam")["ports"]
    redis = ("redis", port["name"])
    assert pods_reached(manifests.egress("sam")) == {redis}
    assert pods_reached(manifests.egress("segmentation")) == {redis, ("sam", sam["name"])}
    assert pods_reached(manifests.ingress("redis")) == {(name, port["name"]) for name in BACKENDS}
    assert manifests.egress("redis") == []
    [published] = manifests.one("Service", "redis")["spec"]["ports"]
    for name in BACKENDS:
        url = manifests.variables(name)["REDIS_URL"]
        assert url == f"redis://redis:{published['port']}/0"


@pytest.mark.parametrize("name", BACKENDS)
def test_only_label_studio_may_call_a_backend_from_outside(name: str) -> None:
    rules = overlay("site").ingress(name)
    [port] = overlay("site").container(name)["ports"]
    assert reaches(rules, LABEL_STUDIO, port["name"])
    assert not reaches(rules, "10.0.0.11", port["name"])


def test_the_address_of_label_studio_is_written_once(tmp_path: Path) -> None:
    copy = shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    site = copy / "site" / "site.yaml"
    site.write_text(site.read_text().replace("10.0.0.10/32", "10.9.8.7/32"))
    built = build(copy / "site")
    for name in BACKENDS:
        assert reaches(built.egress(name), "10.9.8.7", 443)
        assert reaches(built.ingress(name), "10.9.8.7", "http")
        assert not reaches(built.ingress(name), LABEL_STUDIO, "http")
        service = built.one("Service", name)["spec"]
        assert service["loadBalancerSourceRanges"] == ["10.9.8.7/32"]
    assert [
        m["metadata"]["name"] for m in built.of("ConfigMap") if "site" in m["metadata"]["name"]
    ] == []


@pytest.mark.parametrize("name", BACKENDS)
def test_the_gpu_overlay_gives_each_pod_a_gpu_and_needs_none_to_spare(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = overlay("gpu")
    assert settings_of(gpu, name, monkeypatch).device == "cuda"
    assert gpu.container(name)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert gpu.one("Deployment", name)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert "nvidia.com/gpu" not in overlay("site").container(name)["resources"]["limits"]


def test_the_folders_that_the_guide_applies_are_there() -> None:
    applied = set(re.findall(r"-k deploy/kubernetes/(\w+)", README))
    assert applied == {"site", "gpu", "learner"}


def test_the_learner_shares_a_volume_with_the_backends_that_serve_its_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = overlay("learner")
    for each in found.objects:
        kubernetes_validate.validate(each, "1.37", strict=True)
    [claim] = found.of("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name in ("learner", "segmentation"):
        volume = {"name": "learned", "persistentVolumeClaim": {"claimName": "learned"}}
        assert volume in found.pod(name)["spec"]["volumes"]
        mounts = {each["name"]: each["mountPath"] for each in found.container(name)["volumeMounts"]}
        settings = settings_of(found, "segmentation", monkeypatch)
        assert Path(mounts["learned"]) == learned_folder(settings.models_dir)
        assert settings.learn == "auto"
    assert found.container("learner")["image"] == found.container("segmentation")["image"]
    assert reaches(found.egress("learner"), LABEL_STUDIO, 443)
    redis = {(name, "redis") for name in (*BACKENDS, "learner")}
    assert pods_reached(found.ingress("redis")) == redis
    assert settings_of(overlay("site"), "segmentation", monkeypatch).learn == "off"
