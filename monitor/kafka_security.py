"""From a `security` section of the settings to what the streams know of it."""

from __future__ import annotations

from pydantic import SecretStr

from monitor.inputs import KafkaSecurity as KafkaSecuritySection
from streams.kafka_security import KafkaSecurity


def security_of(section: KafkaSecuritySection) -> KafkaSecurity:
    """The same, with the secrets opened."""
    return KafkaSecurity(
        protocol=section.protocol,
        ca_file=section.ca_file,
        certificate_file=section.certificate_file,
        key_file=section.key_file,
        key_password=_opened(section.key_password),
        check_hostname=section.check_hostname,
        mechanism=section.mechanism,
        username=section.username,
        password=_opened(section.password),
    )


def _opened(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
