"""deploy/gcp/startup.sh on a Debian 13 with real Docker, a cloud on the loopback, a small release.

The engine is this machine's: the script's containers run next to those of the other tests.
"""

import base64
import hashlib
import io
import json
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.repository import ROOT

HERE = Path(__file__).parent / "gcp"
SCRIPT = ROOT / "deploy" / "gcp" / "startup.sh"
HOSTS = ("metadata.google.internal", "secretmanager.googleapis.com", "storage.googleapis.com")
IMAGE = "segstudio-gcp-test"
TOKEN = "ya29.the-token-of-the-machine"
PASSWORD = "the password, not for logs"

pytestmark = pytest.mark.timeout(1200)


def docker(*arguments: str | Path) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {arguments[0]}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def compose_files(project: str) -> Mapping[str, str]:
    """A release in small: the services that the script knows, of the names that it knows."""
    password = base64.b64encode(PASSWORD.encode()).decode()
    return {
        "Dockerfile": "FROM debian:bookworm-slim\nCOPY version /version\n",
        "docker-compose.yml": f"""
name: {project}
services:
  segmentation:
    build: .
    image: segstudio-segmentation:${{SEGSTUDIO_VERSION}}
    init: true
    command: [sleep, infinity]
    environment: [GOOGLE_APPLICATION_CREDENTIALS_BASE64]
  sam:
    build: .
    image: segstudio-sam:${{SEGSTUDIO_VERSION}}
    init: true
    command: [sleep, infinity]
  label-studio:
    image: debian:bookworm-slim
    init: true
    tmpfs: [/secrets]
    command:
      - sh
      - -c
      - echo {password} | base64 -d > /secrets/label_studio_password; sleep infinity
  bootstrap:
    image: debian:bookworm-slim
    depends_on: [segmentation, label-studio]
    command: [echo, Ready]
  ready:
    image: debian:bookworm-slim
    scale: 0
    depends_on:
      bootstrap: {{condition: service_completed_successfully}}
""",
        "docker-compose.team.yml": """
services:
  segmentation:
    environment: [SAM_MODEL]
    labels: {address: "${LABEL_STUDIO_HOST} on ${BIND_ADDRESS}"}
  caddy:
    image: debian:bookworm-slim
    init: true
    tmpfs: [/data]
    command:
      - sh
      - -c
      - |
        mkdir -p /data/caddy/pki/authorities/local
        echo root >/data/caddy/pki/authorities/local/root.crt
        exec sleep infinity
    healthcheck:
      test: [CMD, test, -s, /data/caddy/pki/authorities/local/root.crt]
      interval: 1s
""",
    }


def archive(files: Mapping[str, str]) -> bytes:
    """As ``git archive --prefix=segstudio/`` makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"segstudio/{name}")
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass(frozen=True)
class Cloud:
    """The folder that ``gcp/cloud.py`` serves."""

    folder: Path
    project: str

    def release(self, version: str) -> str:
        """Upload a release and name it in the metadata, as Terraform does; its SHA-256."""
        data = archive({**compose_files(self.project), "version": version})
        sha256 = hashlib.sha256(data).hexdigest()
        self.offer(sha256, data)
        return sha256

    def offer(self, sha256: str, data: bytes) -> None:
        self.write(f"objects/labels/releases/{sha256}.tar.gz", data)
        self.attribute("release", f"labels/releases/{sha256}.tar.gz")

    def attribute(self, name: str, value: str) -> None:
        self.write(f"attributes/segstudio-{name}", value.encode())

    def add_key(self, key: str) -> None:
        self.write(f"secrets/credentials/{len(self.versions('credentials')) + 1}", key.encode())

    def versions(self, secret: str) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "secrets" / secret).iterdir())]

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@dataclass(frozen=True)
class Machine:
    """A virtual machine of Google's, as far as a container can be one."""

    name: str
    cloud: Cloud
    said: list[str] = field(default_factory=list)

    def boot(self) -> subprocess.CompletedProcess[str]:
        """Run the startup script as Google's agent does; what it says is the serial console."""
        done = subprocess.run(
            ["docker", "exec", self.name, "bash", "/startup.sh"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said.append(done.stdout)
        return done

    def run(self, command: str) -> str:
        return docker("exec", self.name, "bash", "-c", command)

    def container(self, service: str) -> str:
        project = f"label=com.docker.compose.project={self.cloud.project}"
        wanted = f"label=com.docker.compose.service={service}"
        return docker("ps", "--no-trunc", "--quiet", "--filter", project, "--filter", wanted)

    def environment(self, service: str) -> list[str]:
        listed: list[str] = json.loads(
            docker("inspect", "--format", "{{json .Config.Env}}", self.container(service))
        )
        return listed


def certificate() -> bytes:
    """A certificate for Google's names, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a cloud on the loopback")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, HOSTS))), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), f"segstudio-gcp-{uuid.uuid4().hex[:8]}")
    cloud.write("cloud.pem", certificate())
    cloud.write("token", TOKEN.encode())
    for secret in ("credentials", "password"):
        (cloud.folder / "secrets" / secret).mkdir(parents=True)
        cloud.attribute(f"{secret}-secret", f"projects/p/secrets/{secret}")
    cloud.attribute("host", "203.0.113.7")
    cloud.attribute("gpu", "none")
    cloud.attribute("settings", "# Of terraform.tfvars\nSAM_MODEL=embedded")
    return cloud


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Iterator[Machine]:
    """Booted for the first time, before anybody has put a key into Secret Manager."""
    docker("build", "--quiet", "--tag", IMAGE, HERE)
    hosts = [f"--add-host={host}:127.0.0.1" for host in HOSTS]
    machine = Machine(f"{cloud.project}-machine", cloud)
    cloud.release("first")
    docker(
        *("run", "--detach", "--init", "--name", machine.name, *hosts),
        *("--env", "CURL_CA_BUNDLE=/cloud/cloud.pem"),
        *("--volume", f"{cloud.folder}:/cloud", "--volume", f"{HERE}:/test:ro"),
        *(
            "--volume",
            f"{SCRIPT}:/startup.sh:ro",
            "--volume",
            "/var/run/docker.sock:/run/docker.sock",
        ),
        *(IMAGE, "python3", "/test/cloud.py", "/cloud"),
    )
    try:
        booted = machine.boot()
        assert booted.returncode == 0, booted.stdout[-3000:]
        yield machine
    finally:
        docker("compose", "--project-name", cloud.project, "down", "--volumes")
        docker("rm", "--force", machine.name)
        built = f"label=com.docker.compose.project={cloud.project}"
        docker("image", "rm", *docker("image", "ls", "--quiet", "--filter", built).split())


def test_the_first_boot_installs_docker_and_brings_up_the_team_stack(machine: Machine) -> None:
    first = machine.said[0]
    assert "installing Docker" in first
    assert "fetching release" in first
    assert first.index("building the images") < first.index("Secret Manager")
    assert first.endswith("segstudio: ready\n")
    labels = docker(
        "inspect", "--format", "{{json .Config.Labels}}", machine.container("segmentation")
    )
    assert json.loads(labels)["address"] == "https://203.0.113.7 on 0.0.0.0"
    assert "SAM_MODEL=embedded" in machine.environment("segmentation")


def test_the_password_of_the_page_is_put_into_secret_manager_once(machine: Machine) -> None:
    assert machine.boot().returncode == 0
    assert machine.cloud.versions("password") == [PASSWORD]


def test_the_root_certificate_is_printed_for_who_can_read_the_console(machine: Machine) -> None:
    (found,) = re.findall(r"root certificate: (\S+)", machine.said[0])
    assert base64.b64decode(found) == b"root\n"


def test_a_reboot_changes_nothing(machine: Machine) -> None:
    before = [machine.container(service) for service in ("segmentation", "label-studio")]
    again = machine.boot()
    assert again.returncode == 0
    assert [machine.container(service) for service in ("segmentation", "label-studio")] == before
    assert not re.search("installing|fetching|building|password|forgetting", again.stdout)


def test_without_a_key_the_machine_says_what_it_does_instead(machine: Machine) -> None:
    assert (
        "no key in Secret Manager: buckets are read with the machine's own identity"
        in (machine.said[0])
    )


def test_a_key_reaches_the_containers_at_the_next_boot_and_nothing_else(machine: Machine) -> None:
    key = base64.b64encode(b'{"private_key": "-----BEGIN PRIVATE KEY-----"}').decode()
    machine.cloud.add_key(key)
    assert machine.boot().returncode == 0
    variable = f"GOOGLE_APPLICATION_CREDENTIALS_BASE64={key}"
    assert variable in machine.environment("segmentation")
    image = docker("inspect", "--format", "{{.Image}}", machine.container("segmentation"))
    assert key not in docker("image", "inspect", image) + docker("history", "--no-trunc", image)
    for secret in (key, PASSWORD, TOKEN):
        assert all(secret not in said for said in machine.said)
        assert machine.run(f"grep -rlF -- '{secret}' /opt /root /tmp /var/log || true") == ""


def test_a_secret_manager_that_is_busy_is_asked_again_and_the_key_is_whole(
    machine: Machine,
) -> None:
    before = machine.environment("segmentation")
    machine.cloud.write("busy/credentials", b"")
    assert machine.boot().returncode == 0
    assert not (machine.cloud.folder / "busy" / "credentials").exists(), "it was asked"
    assert machine.environment("segmentation") == before


def test_a_new_release_takes_the_place_of_the_old_one(machine: Machine) -> None:
    sha256 = machine.cloud.release("second")
    assert machine.boot().returncode == 0
    image = docker("inspect", "--format", "{{.Config.Image}}", machine.container("segmentation"))
    assert image == f"segstudio-segmentation:{sha256[:12]}"
    assert docker("exec", machine.container("segmentation"), "cat", "/version") == "second"
    assert machine.run("ls /opt/segstudio/releases") == sha256
    assert docker("image", "ls", "--quiet", "--filter", f"reference=segstudio-*:{sha256[:12]}")


def test_a_damaged_release_is_refused_and_the_running_one_stays(machine: Machine) -> None:
    running = machine.container("segmentation")
    there = machine.run("ls /opt/segstudio/releases")
    release = (machine.cloud.folder / "attributes" / "segstudio-release").read_text()
    machine.cloud.offer("0" * 64, b"cut off")
    refused = machine.boot()
    machine.cloud.attribute("release", release)
    assert refused.returncode == 1
    assert (
        "error: the release is not what was uploaded (run terraform apply again)" in refused.stdout
    )
    assert machine.container("segmentation") == running
    assert machine.run("ls /opt/segstudio/releases") == there


def test_a_secret_that_may_not_be_read_is_named(machine: Machine) -> None:
    machine.cloud.write("refused/credentials", b"")
    refused = machine.boot()
    (machine.cloud.folder / "refused" / "credentials").unlink()
    assert refused.returncode == 1
    assert "Secret Manager answers 403 for projects/p/secrets/credentials" in refused.stdout
    assert "the next boot tries again" in refused.stdout


def test_a_stack_that_does_not_come_up_is_told_with_its_last_words(machine: Machine) -> None:
    files = dict(compose_files(machine.cloud.project))
    files["docker-compose.yml"] = files["docker-compose.yml"].replace(
        "[echo, Ready]", "[sh, -c, 'echo error: no room on the disk; exit 1']"
    )
    data = archive({**files, "version": "broken"})
    release = (machine.cloud.folder / "attributes" / "segstudio-release").read_text()
    machine.cloud.offer(hashlib.sha256(data).hexdigest(), data)
    broken = machine.boot()
    machine.cloud.attribute("release", release)
    assert broken.returncode == 1
    assert "error: the stack did not come up (error: no room on the disk)" in broken.stdout
    assert machine.boot().returncode == 0, "the release before works again"
