"""E-mail goes through a real server, encrypted unless a person says otherwise."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from flows.mail import Email
from tests.receivers import MailReceiver, serving


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(pem))
    return path


def server_of(certificate: Path, security: str) -> MailReceiver:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return MailReceiver(context, from_start=security == "tls")


def email_to(server: MailReceiver, security: Literal["starttls", "tls", "none"]) -> Email:
    return Email(
        host="127.0.0.1",
        port=server.port,
        security=security,
        username="night",
        password=SecretStr("owl"),
        sender="nightforge@example.org",
        recipients=["one@example.org"],
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_password_and_the_text_go_encrypted(
    certificate: Path, security: Literal["starttls", "tls"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # this machine trusts it
    with serving(server_of(certificate, security)) as server:
        asyncio.run(email_to(server, security).notify("Größe: 1\n.\nend", "Refused: ä"))
    assert server.logins == ["night:owl:True"]
    [letter] = server.got
    assert letter["Subject"] == "Refused: ä"
    assert letter["From"] == "nightforge@example.org"
    assert "Größe: 1" in letter.get_content()
    assert "end" in letter.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    certificate: Path, security: Literal["starttls", "tls"]
) -> None:
    with serving(server_of(certificate, security)) as server, pytest.raises(ssl.SSLError):
        asyncio.run(email_to(server, security).notify("body", "subject"))
    assert (server.logins, server.got) == ([], [])


def test_a_server_without_encryption_gets_nothing_unless_asked() -> None:
    with serving(MailReceiver()) as server:
        with pytest.raises(Exception, match="STARTTLS"):
            asyncio.run(email_to(server, "starttls").notify("body", "subject"))
        assert (server.logins, server.got) == ([], [])
        asyncio.run(email_to(server, "none").notify("body", "subject"))
    assert server.logins == ["night:owl:False"]
