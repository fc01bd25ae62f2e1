"""Checks of the compose files and the Dockerfile that need no Docker; see also tests/containers."""

import ast
import re
import subprocess
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from docgen.compose_settings import ComposeSettings
from ml_backend.serving.settings import BackendSettings
from sam_backend.settings import SamSettings
from segmentation_backend.settings import SegmentationSettings
from segstudio.local import services as programs
from segstudio.settings import UpSettings
from tests.support.repository import ROOT

FILES = sorted(ROOT.glob("docker-compose*.yml"))
OVERRIDES = {"gpu", "team", "scale"}
IMAGES = (
    "segstudio-segmentation:",
    "segstudio-sam:",
    "segstudio-ray:",
    "heartexlabs/label-studio:1.23.2",
    "postgres:15-bookworm",
    "redis:7-bookworm",
    "nginx:1-bookworm",
    "caddy:2",
)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SETTINGS: dict[str, type[BackendSettings]] = {
    "segmentation": SegmentationSettings,
    "sam": SamSettings,
}
BANNED_SUBNETS = ("USE_DEFAULT_BANNED_SUBNETS", "USER_ADDITIONAL_BANNED_SUBNETS")
PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    *("127.0.0.0/8", "::1/128"),  # in a container nobody but Label Studio itself
)

# Fixed by the image, or not for containers.
FIXED = {
    "host",
    "port",
    "image_cache_dir",
    "local_files_document_root",
    "embedding_disk_dir",
    "redis_url",
    # Files, which an override mounts.
    "ssl_cert_file",
    "ssl_cert_dir",
    "requests_ca_bundle",
}
# Of the stack's own parts to each other.
CONSTANT = {"MODELS_DIR", "LABEL_STUDIO_URL", "SECRETS_DIR", "SAM_PREWARM_URL"}
OTHER_DEFAULT = {"MODEL_FALLBACK": "true"}
FROM_SECRETS = {"label_studio_api_key"}


class Loader(yaml.SafeLoader):
    """Reads compose's own tag, which empties a list of the file below."""


Loader.add_constructor("!reset", lambda *_: None)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(path.read_text(), Loader)
    return content


def services() -> list[tuple[str, str, dict[str, Any]]]:
    """File, name and content of each service that is not just altered there."""
    return [
        (path.name, name, service)
        for path in FILES
        for name, service in read(path)["services"].items()
        if "image" in service
    ]


def base() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(ROOT / "docker-compose.yml")["services"]
    return found


def test_there_is_an_override_for_a_gpu_for_a_team_and_for_scale() -> None:
    assert {path.stem.partition(".")[2] for path in FILES} >= OVERRIDES


def test_every_variable_is_documented_with_the_default_that_it_has() -> None:
    kinds: list[type[BaseSettings]] = [ComposeSettings, *SETTINGS.values()]
    fields = {name: field for kind in kinds for name, field in kind.model_fields.items()}
    for path in FILES:
        for name, default in re.findall(r"\$\{([A-Z_]+):-([^${}]*)", path.read_text()):
            documented = OTHER_DEFAULT.get(name, fields[name.lower()].default)
            assert documented is None or str(documented) == default, f"{path.name}: {name}"


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_of_a_backend_can_be_changed_but_those_that_tie_the_stack_together(
    name: str,
) -> None:
    environment: dict[str, str | None] = base()[name]["environment"]
    constant = {
        variable
        for variable, value in environment.items()
        if value is not None and not value.startswith(f"${{{variable}:-")
    }
    assert constant == CONSTANT & set(environment)


def test_every_documented_variable_of_docker_is_used() -> None:
    text = "".join(path.read_text() for path in FILES)
    for name in set(ComposeSettings.model_fields) - {"compose_file"}:
        assert f"${{{name.upper()}" in text, name


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_backend_can_be_told_reaches_its_container(name: str) -> None:
    passed = {variable.lower() for variable in base()[name]["environment"]}
    own = set(SETTINGS[name].model_fields)
    assert passed <= own
    assert own - passed == own & (FIXED | FROM_SECRETS)
    assert {"host", "models_dir", "image_cache_dir", "port"} <= {
        variable.lower() for variable in re.findall(r"(\w+)=", DOCKERFILE)
    }
    assert set(BackendSettings.model_fields) <= own


def test_the_learner_learns_into_what_the_segmentation_backend_serves_from() -> None:
    learner, backend = base()["learner"], base()["segmentation"]
    for shared in ("image", "environment", "volumes", "depends_on"):
        assert learner[shared] == backend[shared], shared
    assert learner["command"] == ["python", *programs.LEARNER[1:]]


def test_label_studio_is_set_up_as_make_up_does_it() -> None:
    environment = base()["label-studio"]["environment"]
    assert programs._LABEL_STUDIO.items() <= environment.items()


def test_label_studio_asks_no_reserved_address_but_those_where_backends_are() -> None:
    environment = base()["label-studio"]["environment"]
    switched = {name for name in environment if re.search("SSRF|BLOCK_LOCAL|BANNED", name)}
    assert switched == {f"LABEL_STUDIO_{name}" for name in BANNED_SUBNETS}, "the guard is on"
    own = [ip_network(each) for each in label_studios_own_banned_subnets()]
    ours = [ip_network(each) for each in programs._BANNED_SUBNETS]
    let_through = {each for each in own if not any(is_in(each, other) for other in ours)}
    assert let_through == {ip_network(each) for each in PRIVATE}


def is_in(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return network.version == other.version and (
        network.network_address in other and network.prefixlen >= other.prefixlen
    )


def label_studios_own_banned_subnets() -> list[str]:
    (path,) = (ROOT / UpSettings().label_studio_venv).glob(
        "lib/*/site-packages/label_studio/core/utils/io.py"
    )
    (listed,) = re.findall(r"default_banned_subnets = (\[.+?\n    \])", path.read_text(), re.DOTALL)
    found: list[str] = ast.literal_eval(listed)
    return found


def test_opened_tasks_are_passed_on_to_sam_or_to_what_stands_before_many_of_it() -> None:
    scale = read(ROOT / "docker-compose.scale.yml")["services"]
    for url, server in (
        (base()["segmentation"]["environment"]["SAM_PREWARM_URL"], "sam"),
        (scale["segmentation"]["environment"]["SAM_PREWARM_URL"], "sam-balancer"),
    ):
        assert url == f"http://{server}:{SamSettings.model_fields['port'].default}/prewarm"
    assert "listen 9090;" in balancer_configuration()[0]


@pytest.mark.parametrize(("file", "name", "service"), services())
def test_every_container_is_confined(file: str, name: str, service: dict[str, Any]) -> None:
    assert service["image"].startswith(IMAGES)
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service.get("read_only") or name == "label-studio"
    assert service["restart"] in ("unless-stopped", "on-failure:5", "no")


@pytest.mark.parametrize(("file", "name", "service"), services())
def test_ports_are_published_on_this_machine_alone_unless_told_otherwise(
    file: str, name: str, service: dict[str, Any]
) -> None:
    for port in service.get("ports", []):
        assert port.startswith(("${BIND_ADDRESS:-127.0.0.1}:", "127.0.0.1:")), port


def test_a_team_reaches_caddy_and_nothing_else() -> None:
    team = read(ROOT / "docker-compose.team.yml")["services"]
    published = {name for name, service in base().items() if service.get("ports")}
    assert published == {name for name in team if "ports" in team[name]} - {"caddy"}
    assert all(team[name]["ports"] is None for name in published)


def balancer_configuration() -> tuple[str, dict[str, str]]:
    """Return nginx's configuration as its command makes it, and the variables it is given."""
    nginx = read(ROOT / "docker-compose.scale.yml")["services"]["sam-balancer"]
    [script] = nginx["command"]
    [(names, path)] = re.findall(r"envsubst '(.+)' <(\S+) >/tmp/nginx.conf", script)
    [here] = [v.split(":")[0] for v in nginx["volumes"] if v.split(":")[1] == path]
    text = (ROOT / here).read_text()
    for name in re.findall(r"\$\$(\w+)", names):
        text = text.replace(f"${{{name}}}", f"<{name}>")
    return text, nginx["environment"]


def test_nginx_lets_through_what_a_sam_backend_takes() -> None:
    text, given = balancer_configuration()
    assert "client_max_body_size <MAX_REQUEST_MB>m;" in text
    assert given == {"MAX_REQUEST_MB": "${MAX_REQUEST_MB:-256}"}
    assert "${" not in text, "nginx would not know it"


def caddy() -> dict[str, Any]:
    service: dict[str, Any] = read(ROOT / "docker-compose.team.yml")["services"]["caddy"]
    return service


def test_caddy_is_given_each_variable_of_its_configuration() -> None:
    [mounted] = [v for v in caddy()["volumes"] if "/etc/caddy/Caddyfile" in v]
    text = (ROOT / mounted.partition(":")[0]).read_text()
    assert set(re.findall(r"\{\$(\w+)", text)) == {"HOST", "LABEL_STUDIO_HOST", "TLS_FILES"}
    assert {"LABEL_STUDIO_HOST", "TLS_FILES"} <= set(caddy()["environment"])
    (asked,) = re.findall(r"(http://\S+)/health", caddy()["healthcheck"]["test"][1])
    assert f"\n{asked} {{\n" in text


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://localhost", "localhost"),
        ("https://label.example.com/", "label.example.com"),
        ("https://label.example.com:8443/studio", "label.example.com"),
        ("https://203.0.113.7:443", "203.0.113.7"),
        ("https://[2001:db8::7]:8443", "2001:db8::7"),
        ("https://[2001:db8::7]", "2001:db8::7"),
    ],
)
def test_caddy_serves_the_host_of_the_address_for_browsers(
    address: str, host: str, tmp_path: Path
) -> None:
    (tmp_path / "caddy").write_text("#!/bin/sh\necho $HOST\n")
    (tmp_path / "caddy").chmod(0o755)
    [script] = caddy()["command"]
    done = subprocess.run(
        [*caddy()["entrypoint"], script.replace("$$", "$")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "LABEL_STUDIO_HOST": address},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{host}\n"


def test_an_image_is_small_in_rights_and_says_what_it_is() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases == ["python:3.11-slim-bookworm"] * 4 + ["runtime"] * 2 + ["backend"] * 2
    assert "USER 10001:0" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE
    assert {"title", "description", "version", "licenses"} <= set(
        re.findall(r"org\.opencontainers\.image\.(\w+)=", DOCKERFILE)
    )
    assert "apt-get" not in DOCKERFILE, "nothing but Python's own base and wheels"


@pytest.mark.parametrize("name", SETTINGS)
def test_each_backend_is_a_target_of_the_one_dockerfile(name: str) -> None:
    build = base()[name]["build"]
    assert (build["context"], build["target"]) == (".", name)
    assert "dockerfile" not in build
    (stage,) = re.findall(rf"^FROM backend AS {name}\n((?:.+\n)+)", DOCKERFILE, re.MULTILINE)
    assert f"COPY {name}_backend {name}_backend\n" in stage
    assert f"PORT={SETTINGS[name].model_fields['port'].default}\n" in stage
    assert stage.endswith(f'CMD ["python", "-m", "{name}_backend"]\n')


def test_a_build_ends_where_weights_to_bake_in_cannot_be_had(tmp_path: Path) -> None:
    (command,) = re.findall(r"^RUN (.*\$BAKE_WEIGHTS.*)$", DOCKERFILE, re.MULTILINE)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ntest "$5" != bad\n')
    (tmp_path / "python").chmod(0o755)

    def build(names: str) -> bool:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BAKE_WEIGHTS": names}
        return subprocess.run(["sh", "-c", command], env=environment).returncode == 0

    assert build("")
    assert build("good better")
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"-m segstudio models pull {name}" for name in ("good", "better")
    ]
    assert not build("bad good")


def test_no_volume_hides_the_weights_that_are_baked_in() -> None:
    (baked,) = re.findall(r"\bMODELS_DIR=(\S+)", DOCKERFILE)
    for name in ("models", *SETTINGS):
        targets = [volume.split(":")[1] for volume in base()[name]["volumes"]]
        assert base()[name]["environment"]["MODELS_DIR"] in targets
        assert not any(Path(baked).is_relative_to(target) for target in targets)
    assert f'Path("{baked}")' in (ROOT / "segstudio" / "cli" / "stack.py").read_text()


def test_an_image_says_its_tag_as_its_version() -> None:
    assert "org.opencontainers.image.version=${VERSION} " in DOCKERFILE
    arguments = read(ROOT / "docker-compose.yml")["x-build"]["args"]
    assert arguments["VERSION"] == "${SEGSTUDIO_VERSION:-latest}"
