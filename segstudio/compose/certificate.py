"""A certificate to begin with: signed by itself, so that browsers warn until it is replaced."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from segstudio.compose.make_secrets import write_for_group
from segstudio.errors import ProcessError

CHAIN, KEY = "fullchain.pem", "privkey.pem"
"""File names as Let's Encrypt's clients have them."""

_BEGUN = ".segstudio-makes-both"
"""There while both are made: half a pair beside it is ours, and is begun again."""

_LIFE = timedelta(days=3650)


def make_certificate(folder: Path, host: str) -> bool:
    """Make a certificate and its key, unless they are there: then see that nginx can read them.

    Args:
        folder: Where both go.
        host: Name or IP address that browsers use.

    Returns:
        Whether one was made.

    Raises:
        ProcessError: One is there without the other, or cannot be read, or nothing can be written.
    """
    try:
        there = [name for name in (CHAIN, KEY) if os.path.lexists(folder / name)]
        begun = folder / _BEGUN
        if len(there) == 2 or (there and not begun.exists()):
            _check_pair(folder, there)
            return False
        begun.touch()
        _make_pair(folder, host)
        begun.unlink()
    except OSError as error:
        raise ProcessError(
            f"cannot use {error.filename or folder}: {error.strerror}",
            f"TLS_DIR must hold {CHAIN} and {KEY}, no links out of the folder, which the group 0 "
            "may read: chgrp 0, chmod 640",
        ) from None
    return True


def _check_pair(folder: Path, there: list[str]) -> None:
    """See that nobody works with half a pair; nginx and this have the same group, and no rights."""
    if len(there) == 1:
        (lacking,) = {CHAIN, KEY} - set(there)
        raise ProcessError(
            f"{folder} has {there[0]} and no {lacking}",
            f"put {lacking} beside it, or remove it: then both are made",
        )
    for name in there:
        (folder / name).read_bytes()


def _make_pair(folder: Path, host: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_for_group(folder / KEY, private)
    chain = _self_signed(key, host).public_bytes(serialization.Encoding.PEM)
    write_for_group(folder / CHAIN, chain)


def _self_signed(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "segstudio, signed by itself")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
