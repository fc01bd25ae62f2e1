"""deploy/gcp: what Terraform makes is closed and no larger than asked, and fits script and stack.

Terraform itself is not asked: no package has its provider. tests/containers/ runs the script.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import yaml
from hcl2 import SerializationOptions

from segstudio.compose.make_secrets import PASSWORD
from segstudio.gcs.cors import label_studio_rule
from segstudio.gcs.iam import LOOK, READ, WRITE, roles_for
from tests.support.repository import ROOT

GCP = ROOT / "deploy" / "gcp"
SCRIPT = (GCP / "startup.sh").read_text()
README = (GCP / "README.md").read_text()

_PLAIN = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


def blocks(kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted(GCP.glob("*.tf")):
        with path.open() as file:
            yield from hcl2.load(file, serialization_options=_PLAIN).get(kind, [])


def named(kind: str) -> dict[str, Any]:
    """Blocks with one label: variables and outputs."""
    return {name: body for block in blocks(kind) for name, body in block.items()}


def resources(kind: str) -> dict[str, Any]:
    found = [block[kind] for block in blocks("resource") if kind in block]
    return {name: body for block in found for name, body in block.items()}


def only(kind: str) -> dict[str, Any]:
    [body] = resources(kind).values()
    return dict(body)


def local(name: str) -> Any:
    [value] = [block[name] for block in blocks("locals") if name in block]
    return value


def test_the_disk_has_50_gb_or_more() -> None:
    variable = named("variable")["disk_gb"]
    assert variable["default"] >= 50
    assert [rule["condition"] for rule in variable["validation"]] == ["${var.disk_gb >= 50}"]
    [disk] = only("google_compute_instance")["boot_disk"]
    assert disk["initialize_params"][0]["size"] == "${var.disk_gb}"


def test_only_http_and_https_come_in() -> None:
    firewalls = resources("google_compute_firewall")
    assert firewalls["web"]["allow"] == [{"protocol": "tcp", "ports": ["80", "443"]}]
    assert firewalls["web"]["source_ranges"] == "${var.allowed_ranges}"
    assert firewalls["acme"]["allow"] == [{"protocol": "tcp", "ports": ["80"]}]
    assert firewalls["acme"]["count"] == '${var.domain == "" ? 0 : 1}'
    assert firewalls.keys() == {"web", "acme"}
    for firewall in firewalls.values():
        assert firewall["direction"] == "INGRESS"
        assert firewall["network"] == "${google_compute_network.this.id}"


def test_the_machine_is_in_a_network_without_google_s_default_rules() -> None:
    assert only("google_compute_network")["auto_create_subnetworks"] is False
    assert only("google_compute_subnetwork")["network"] == "${google_compute_network.this.id}"
    [interface] = only("google_compute_instance")["network_interface"]
    assert interface["subnetwork"] == "${google_compute_subnetwork.this.id}"


def test_the_address_is_a_static_one() -> None:
    [interface] = only("google_compute_instance")["network_interface"]
    assert interface["access_config"] == [{"nat_ip": "${google_compute_address.this.address}"}]


def test_a_gpu_is_there_only_when_asked_for() -> None:
    machine = only("google_compute_instance")
    assert named("variable")["gpu"]["default"] == ""
    [block] = machine["dynamic"]
    assert block["guest_accelerator"]["for_each"] == '${var.gpu == "" ? [] : [var.gpu]}'
    [scheduling] = machine["scheduling"]
    assert scheduling["on_host_maintenance"] == '${var.gpu == "" ? "MIGRATE" : "TERMINATE"}'


def member(account: str) -> str:
    return f'${{google_service_account.this["{account}"].member}}'


def grants(kind: str) -> dict[str, Any]:
    return resources(f"google_{kind}_iam_member")


def test_the_backends_key_reads_images_and_nothing_else() -> None:
    mine = {
        name: grant
        for kind in ("storage_bucket", "secret_manager_secret")
        for name, grant in grants(kind).items()
        if grant["member"] == member("backend")
    }
    assert list(mine) == ["backend"]
    assert "for_each" not in mine["backend"]
    assert mine["backend"]["bucket"] == '${google_storage_bucket.this["images"].name}'
    assert (mine["backend"]["role"],) == roles_for(READ)
    assert metadata("credentials-secret") == 'google_secret_manager_secret.this["backend"].id'


def test_the_key_of_label_studio_and_the_command_line_uses_objects_of_the_two_buckets() -> None:
    grant = grants("storage_bucket")["storage"]
    assert set(local("buckets")) == {"images", "labels"}
    assert set(local("storage_roles")) == set(roles_for(LOOK | READ | WRITE))
    assert "setproduct(keys(local.buckets), local.storage_roles)" in grant["for_each"]
    assert grant["bucket"] == "${google_storage_bucket.this[each.value[0]].name}"
    assert grant["member"] == member("storage")
    assert all(g["member"] != member("storage") for g in grants("secret_manager_secret").values())


def test_the_machine_reads_the_buckets_and_changes_nothing_in_them() -> None:
    grant = grants("storage_bucket")["machine"]
    assert grant["for_each"] == "${local.buckets}"
    assert (grant["role"],) == roles_for(READ)
    assert grant["member"] == member("machine")
    assert set(grants("storage_bucket")) == {"backend", "machine", "storage"}
    [account] = only("google_compute_instance")["service_account"]
    assert account["email"] == '${google_service_account.this["machine"].email}'


def test_the_names_of_the_accounts_are_no_longer_than_google_lets_them_be() -> None:
    [rule] = named("variable")["name"]["validation"]
    [between] = re.findall(r"\{4,(\d+)\}", rule["condition"])
    longest = "a" * (int(between) + 2)
    names = only("google_service_account")["for_each"].values()
    assert all(len(name.replace("${var.name}", longest)) <= 30 for name in names)


def metadata(name: str) -> str:
    """What the machine's metadata give under a name, as an expression."""
    given = only("google_compute_instance")["metadata"]
    [value] = re.findall(rf"segstudio-{name} *= *([^ ,]+)", given)
    return str(value)


def test_nothing_is_granted_on_the_project() -> None:
    kinds = {kind for block in blocks("resource") for kind in block}
    granting = {kind for kind in kinds if "_iam_" in kind}
    assert granting == {
        "google_storage_bucket_iam_member",
        "google_secret_manager_secret_iam_member",
    }


def test_the_machine_reads_its_two_secrets_and_adds_to_one() -> None:
    reads, adds = (grants("secret_manager_secret")[name] for name in ("reads", "adds"))
    assert set(grants("secret_manager_secret")) == {"reads", "adds"}
    assert reads["role"] == "roles/secretmanager.secretAccessor"
    assert set(re.findall(r'"(\w+)"', reads["for_each"])) == {"backend", "password"}
    assert reads["secret_id"] == "${google_secret_manager_secret.this[each.key].id}"
    assert adds["role"] == "roles/secretmanager.secretVersionAdder"
    assert adds["secret_id"] == '${google_secret_manager_secret.this["password"].id}'
    assert reads["member"] == adds["member"] == member("machine")


def test_no_secret_comes_into_the_state_file() -> None:
    kinds = {kind for block in blocks("resource") for kind in block}
    assert not kinds & {"google_service_account_key", "google_secret_manager_secret_version"}
    assert not any("sensitive" in variable for variable in named("variable").values())


def test_the_buckets_keep_versions_and_are_closed_to_the_public() -> None:
    bucket = only("google_storage_bucket")
    assert bucket["for_each"] == "${local.buckets}"
    assert bucket["versioning"] == [{"enabled": True}]
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["force_destroy"] is False


def test_the_labeling_page_may_show_images_as_bucket_setup_would_have_it() -> None:
    [cors] = only("google_storage_bucket")["cors"]
    assert label_studio_rule(["https://${local.host}"]) == {
        "origin": cors["origin"],
        "method": cors["method"],
        "responseHeader": cors["response_header"],
        "maxAgeSeconds": cors["max_age_seconds"],
    }


def test_a_changed_script_or_image_does_not_make_the_machine_anew() -> None:
    machine = only("google_compute_instance")
    assert "metadata_startup_script" not in machine, "its change replaces the machine"
    assert 'file("${path.module}/startup.sh")' in machine["metadata"]
    [lifecycle] = machine["lifecycle"]
    assert "initialize_params" in str(lifecycle["ignore_changes"])


def test_the_script_finds_in_the_metadata_what_it_asks_for() -> None:
    given = set(re.findall(r"segstudio-([a-z-]+) +=", only("google_compute_instance")["metadata"]))
    assert given == set(re.findall(r"\(attribute ([a-z-]+)\)", SCRIPT))


def compose(*names: str) -> dict[str, Any]:
    """The services of compose files, by name; what a file adds lies over what was before."""
    services: dict[str, Any] = {}
    for name in names:
        text = (ROOT / name).read_text().replace("!reset", "")
        for service, body in yaml.safe_load(text)["services"].items():
            services[service] = {**services.get(service, {}), **body}
    return services


def test_the_script_names_files_services_and_images_of_the_stack() -> None:
    files = re.findall(r"docker-compose[\w.]*\.yml", SCRIPT)
    assert files == ["docker-compose.yml", "docker-compose.team.yml", "docker-compose.gpu.yml"]
    services = compose(*files)
    assert {"bootstrap", "label-studio", "caddy"} <= set(services)
    assert "secrets:/secrets:ro" in compose("docker-compose.yml")["label-studio"]["volumes"]
    assert f"cat /secrets/{PASSWORD}" in SCRIPT
    for name in ("segmentation", "sam"):
        assert services[name]["image"].startswith(f"segstudio-{name}:${{SEGSTUDIO_VERSION")
        assert f'"segstudio-{name}:${{version:0:12}}"' in SCRIPT


def test_the_key_goes_from_the_script_to_the_backends_and_into_no_image() -> None:
    variable = "GOOGLE_APPLICATION_CREDENTIALS_BASE64"
    assert f"{variable}=$key docker compose up" in SCRIPT
    for service in ("segmentation", "sam"):
        assert variable in compose("docker-compose.yml")[service]["environment"]
    assert variable not in (ROOT / "Dockerfile").read_text()
    [settings] = re.findall(r"cat >\.env <<END\n(.*?)\nEND", SCRIPT, re.DOTALL)
    assert variable not in settings
    written = set(re.findall(r"^([A-Z_]+)=", settings, re.MULTILINE))
    documented = set(
        re.findall(r"^#? ?([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    assert written <= documented


def test_the_script_is_shellchecked() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, GCP / "startup.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_guide_reads_outputs_and_sets_variables_that_there_are() -> None:
    read = set(re.findall(r"terraform output (?:-raw |-json )?(\w+)", README))
    assert read == set(named("output"))
    parts = set(re.findall(r"-json (\w+) \| jq -r \.(\w+)", README))
    assert parts == {("secrets", "storage"), ("secrets", "password")}
    [loop] = re.findall(r"for each in (.*); do", README)
    for kind in ("google_service_account", "google_secret_manager_secret"):
        there = set(re.findall(r"\w+", str(only(kind)["for_each"])))
        assert {*loop.split(), *(part for _, part in parts)} - {"password"} <= there
    set_there = set(re.findall(r"^ *(\w+) += ", README, re.MULTILINE))
    assert set_there
    assert set_there <= set(named("variable"))
