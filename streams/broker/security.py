"""A SASL_SSL listener for the jvm broker: a certificate by keytool, a SCRAM user with a random password."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.errors import RunError

KEYTOOL_LIMIT_S = 60.0
USER = "interlayer"
LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True)
class Security:
    """The port of the listener, its server settings, the users to format in, and what a client needs."""

    port: int
    properties: Mapping[str, str]
    scram: tuple[str, ...]
    client: Mapping[str, str]


def make_security(java: str, home: Path, port: int) -> Security:
    """Keystore, certificate and password in `home`, made once. Raises RunError with keytool's word."""
    store, certificate, secret = home / "server.p12", home / "ca.pem", home / "password"
    if not certificate.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
        password = ["-storepass:file", str(secret), "-alias", "kafka", "-keystore", str(store)]
        key = ["-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650"]
        names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1"]
        _keytool(java, "-genkeypair", *password, *key, *names)
        _keytool(java, "-exportcert", "-rfc", *password, "-file", str(certificate))
    password_text = secret.read_text()
    properties = {
        "sasl.enabled.mechanisms": MECHANISM,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{LOGIN_MODULE} required;",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": password_text,
        "ssl.key.password": password_text,
    }
    client = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.username": USER,
        "sasl.password": password_text,
        "ssl.ca.location": str(certificate),
    }
    return Security(port, properties, (f"{MECHANISM}=[name={USER},password={password_text}]",), client)


def _keytool(java: str, *arguments: str) -> None:
    keytool = str(Path(java).resolve().with_name("keytool"))
    try:
        done = subprocess.run([keytool, *arguments], capture_output=True, text=True, timeout=KEYTOOL_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"no certificate could be made for the jvm broker: {error}") from None
    if done.returncode:
        reason = (done.stdout + done.stderr).strip().splitlines() or [f"exit code {done.returncode}"]
        raise RunError(f"no certificate could be made for the jvm broker: {keytool}: {reason[0]}")
