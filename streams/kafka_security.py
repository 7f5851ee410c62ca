"""How to talk to Kafka brokers: TLS and SASL, as keyword arguments for kafka-python's clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class KafkaSecurityError(ValueError):
    """A file that TLS needs and cannot use; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """TLS and SASL for one connection. The default talks in the clear, without a login.

    `protocol` is one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL; `mechanism` one of PLAIN, SCRAM-SHA-256,
    SCRAM-SHA-512. Files are PEM. What goes together is the settings' business; here it is passed on. Passwords are
    not in the `repr`.
    """

    protocol: str = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def arguments(self) -> dict[str, Any]:
        """For KafkaConsumer, KafkaProducer and KafkaAdminClient alike; holds the passwords, so never to be logged."""
        found: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            found |= {
                "ssl_check_hostname": self.check_hostname,
                "ssl_cafile": None if self.ca_file is None else str(self.ca_file),
                "ssl_certfile": None if self.certificate_file is None else str(self.certificate_file),
                "ssl_keyfile": None if self.key_file is None else str(self.key_file),
                "ssl_password": self.key_password or "",  # with None, OpenSSL would ask for it at the terminal
            }
        if self.protocol.startswith("SASL"):
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return found

    def check(self) -> None:
        """Look at the files of TLS. kafka-python would look anew at every connection, and tell nobody.

        Raises KafkaSecurityError.
        """
        if not self.protocol.endswith("SSL"):
            return
        for what, file in (
            ("ca_file", self.ca_file),
            ("certificate_file", self.certificate_file),
            ("key_file", self.key_file),
        ):
            try:
                if file is not None:
                    file.read_bytes()
            except OSError as error:
                raise KafkaSecurityError(f"{what}: cannot read {file}: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except ssl.SSLError as error:
                raise KafkaSecurityError(f"ca_file: {self.ca_file} holds no certificate in PEM ({error})") from None
        if self.certificate_file is not None:
            try:
                # Never None: OpenSSL would ask for the password at the terminal, and wait there.
                context.load_cert_chain(self.certificate_file, self.key_file, self.key_password or "")
            except (ssl.SSLError, ValueError) as error:
                raise KafkaSecurityError(
                    f"certificate_file and key_file: {self.certificate_file} and {self.key_file} cannot be used "
                    f"({error}); expected a certificate and its key in PEM, and key_password if the key is locked"
                ) from None


IN_THE_CLEAR = KafkaSecurity()
"""Neither TLS nor a login."""
