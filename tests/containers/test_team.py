"""The team's stack at scale: PostgreSQL, TLS, three sam backends of which two are killed."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Page

from synthetic.people import Figure
from tests.containers.conftest import make_stack, running
from tests.containers.held_image import HOST, HeldImage
from tests.containers.labeling import click, label_one_image, new_task, work
from tests.support.repository import ROOT
from tests.support.stack import Stack, docker
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)

METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9090/metrics").read().decode())
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = make_stack("scale", "team", ALLOWED_IMAGE_HOSTS=HOST)
    stack.variables["LABEL_STUDIO_HOST"] = f"https://localhost:{stack.variables['HTTPS_PORT']}"
    with running(stack):
        yield stack


ROOT_CERTIFICATE = "caddy:/data/caddy/pki/authorities/local/root.crt"
"""As in the README's command that exports it."""


@pytest.fixture
def root_certificate(stack: Stack, tmp_path: Path) -> Path:
    """The certificate of Caddy's own authority."""
    stack.compose("cp", ROOT_CERTIFICATE, str(tmp_path / "root.crt"))
    return tmp_path / "root.crt"


def test_an_image_is_labeled_over_tls(page: Page, stack: Stack, figure: Figure) -> None:
    assert stack.url == stack.variables["LABEL_STUDIO_HOST"]
    label_one_image(page, stack, figure)


def test_a_browser_that_trusts_the_root_certificate_trusts_the_page(
    stack: Stack, root_certificate: Path
) -> None:
    trusting = ssl.create_default_context(cafile=root_certificate)
    assert httpx.get(f"{stack.url}/health", verify=trusting, trust_env=False).is_success
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{stack.url}/health", trust_env=False)


def test_plain_http_leads_to_the_page(stack: Stack) -> None:
    plain = httpx.get(f"http://localhost:{stack.variables['HTTP_PORT']}/projects/1/data?task=1")
    assert plain.status_code == httpx.codes.MOVED_PERMANENTLY
    assert plain.headers["Location"] == f"{stack.url}/projects/1/data?task=1"


def test_the_command_line_trusts_what_ssl_cert_file_names(
    stack: Stack, root_certificate: Path, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "LABEL_STUDIO_URL": stack.url,
        "LABEL_STUDIO_API_KEY": stack.token,
        "SSL_CERT_FILE": str(root_certificate),
    }
    words = ("export", "--project", str(stack.project), "--format", "jsonl")
    command = [sys.executable, "-m", "segstudio", *words, "--out", str(tmp_path / "rows.jsonl")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rows.jsonl").read_text().count("\n") == 1


def test_the_next_step_of_deploy_gcp_works_as_written(
    stack: Stack, root_certificate: Path, tmp_path: Path
) -> None:
    assert root_certificate == tmp_path / "root.crt"
    text = (ROOT / "deploy" / "gcp" / "README.md").read_text()
    assert "export SSL_CERT_FILE=$PWD/root.crt" in text.partition("## Operation")[0]
    environment = {
        "PATH": os.environ["PATH"],
        "LABEL_STUDIO_URL": stack.url,
        "LABEL_STUDIO_API_KEY": stack.token,
    }
    (tmp_path / "rows.csv").write_text("identifier,image\na,https://images.example/a.jpg\n")
    words = "project create --template runway_fashion --title next --tasks rows.csv --dry-run"
    step = f"export SSL_CERT_FILE=$PWD/root.crt; {sys.executable} -m segstudio {words}"
    done = subprocess.run(
        ["sh", "-c", step],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def own_certificate(folder: Path, host: str) -> None:
    """Write a certificate with its key, signed by itself, as fullchain.pem and privkey.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "our own")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(private)


def handshake(stack: Stack, host: str, trusted: Path) -> bool:
    """Return whether Caddy shows a certificate for a host that the trusted one has signed."""
    context = ssl.create_default_context(cafile=trusted)
    port = int(stack.variables["HTTPS_PORT"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


@pytest.mark.usefixtures("stack")  # its images
def test_the_certificate_in_tls_dir_is_used_and_a_key_that_caddy_cannot_read_is_reported(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    own_certificate(tmp_path, "label.example.com")
    (tmp_path / "privkey.pem").chmod(0o600)
    os.chown(tmp_path / "privkey.pem", 1, -1)
    host = "https://label.example.com"
    other = make_stack("team", TLS_DIR=str(tmp_path), LABEL_STUDIO_HOST=host)
    try:
        with pytest.raises(AssertionError, match=r"caddy-1 exited \(1\)|caddy-1 is unhealthy"):
            other.compose("up", "--detach", "--wait", "caddy")
        assert "open /tls/privkey.pem: permission denied" in other.logs("caddy")
        (tmp_path / "privkey.pem").chmod(0o640)
        os.chown(tmp_path / "privkey.pem", -1, 0)
        other.compose("up", "--detach", "caddy")
        own = tmp_path / "fullchain.pem"
        eventually(lambda: handshake(other, "label.example.com", own), seconds=90)
    finally:
        other.down("--volumes")
    assert other.left_behind() == []


@pytest.mark.usefixtures("stack")  # its images
def test_a_public_name_gets_a_certificate_from_lets_encrypt(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "lets-encrypt.crt"
    root.touch()
    host = "https://label.example.com"
    other = make_stack("team", LABEL_STUDIO_HOST=host, LETS_ENCRYPT_ROOT=str(root))
    other.files = (*other.files, "tests/containers/docker-compose.lets-encrypt.yml")
    try:
        other.compose("up", "--detach", "--wait", "lets-encrypt")
        found = ROOT_CERTIFICATE.replace("caddy:", "lets-encrypt:", 1)
        other.compose("cp", found, str(root))
        root.chmod(0o644)
        other.compose("up", "--detach", "caddy")
        eventually(lambda: handshake(other, "label.example.com", root), seconds=90)
    finally:
        other.down("--volumes")
    assert other.left_behind() == []


def test_a_session_is_for_tls_alone(page: Page) -> None:
    (session,) = (each for each in page.context.cookies() if each.get("name") == "sessionid")
    assert session.get("secure")


def test_the_team_alone_publishes_caddy_and_nothing_else() -> None:
    config = json.loads(make_stack("team").compose("config", "--format", "json"))
    published = {name for name, each in config["services"].items() if each.get("ports")}
    assert published == {"caddy"}


def test_projects_and_tasks_are_in_postgresql(stack: Stack) -> None:
    words = ("psql", "--username=label-studio", "--tuples-only", "--no-align", "--command")
    count = stack.compose("exec", "--no-TTY", "database", *words, "select count(*) from task")
    assert int(count) >= 6


@pytest.mark.parametrize("service", ["database", "caddy", "redis", "sam-balancer"])
def test_what_stands_beside_is_confined_too(stack: Stack, service: str) -> None:
    status = stack.compose("exec", "--no-TTY", service, "cat", "/proc/1/status")
    found = dict(line.split(":\t") for line in status.splitlines())
    assert found["Uid"].split()[0] != "0"
    bind_low_ports = 1 << 10
    allowed = bind_low_ports if service == "caddy" else 0
    assert (int(found["CapBnd"], 16), found["NoNewPrivs"]) == (allowed, "1")
    (container,) = stack.inspect(service)
    assert container["HostConfig"]["ReadonlyRootfs"]


def test_nobody_but_label_studio_reaches_the_database(stack: Stack) -> None:
    look = "import socket; socket.getaddrinfo('database', 5432)"
    stack.compose("exec", "--no-TTY", "label-studio", "python3", "-c", look)
    with pytest.raises(AssertionError, match="gaierror"):
        stack.python("segmentation", look)


def test_a_killed_sam_backend_loses_nothing(stack: Stack, held: HeldImage) -> None:
    replicas = stack.containers("sam")
    assert len(replicas) == 3
    with stack.client(verify=False) as api, ThreadPoolExecutor() as pool:
        task = new_task(api, stack, "shared", f"{held.url}/shared.jpg")
        before = {each: came_from(each) for each in replicas}

        def gained(container: str) -> Counter[str]:
            return came_from(container) - before[container]

        # Killed while it works on the click: another answers that very click.
        waiting = pool.submit(click, api, stack, task, 50, 60)
        first = at(held.asked_by.get(timeout=120), replicas)
        docker("kill", first)
        held.release.set()
        (mask,) = waiting.result(timeout=120)
        assert mask.any()

        # Killed after it made the embedding: another takes that one out of Redis.
        left = [each for each in replicas if each != first]
        (second,) = (each for each in left if gained(each) == {"model": 1})
        (third,) = (each for each in left if each != second)
        docker("kill", second)
        (again,) = click(api, stack, task, 50, 60)
        assert (again == mask).all()
        assert gained(third) == {"redis": 1}


def at(address: str, containers: list[str]) -> str:
    """The container that has an address."""
    form = "{{ range .NetworkSettings.Networks }}{{ .IPAddress }} {{ end }}"
    (found,) = (
        each for each in containers if address in docker("inspect", "--format", form, each).split()
    )
    return found


def came_from(container: str) -> Counter[str]:
    """How many embeddings a sam backend had, by source."""
    told = docker("exec", container, "python", "-c", METRICS)
    counted = re.findall(r'^segstudio_embeddings_total\{source="(\w+)"\} (\S+)', told, re.MULTILINE)
    return Counter({source: int(float(count)) for source, count in counted})


def test_the_killed_are_brought_back_and_nothing_is_lost_when_all_start_anew(stack: Stack) -> None:
    with stack.client(verify=False) as api:
        before = work(api, stack)
    stack.down()
    stack.up()
    assert len(stack.containers("sam")) == 3
    with stack.client(verify=False) as api:
        assert work(api, stack) == before
