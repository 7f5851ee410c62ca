"""TLS and SASL: what kafka-python is told, what it does with it on a real socket, and what nobody is told."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from pydantic import ValidationError

from monitor import logs
from monitor.embedded import EmbeddedBroker
from monitor.inputs import KafkaSecurity as Section
from monitor.kafka_security import security_of
from streams.kafka import KafkaSource, KafkaSourceOptions
from streams.kafka_security import IN_THE_CLEAR, KafkaSecurity, KafkaSecurityError
from tests.streams.outlet import NotingOutlet, Running

SECRET = "s3cret-phrase"


def certificate(folder: Path, name: str, alternative: str, password: str | None = None) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key, locked where a password is given."""
    openssl = shutil.which("openssl")
    if openssl is None:
        message = "no openssl on the PATH: certificates for the tests of TLS are made with it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    file, key = folder / f"{name}.pem", folder / f"{name}.key"
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    made += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}", "-keyout", str(key), "-out", str(file)]
    made += ["-noenc"] if password is None else ["-passout", "env:PASSWORD"]
    environment = os.environ | {"PASSWORD": password or ""}
    subprocess.run(made, check=True, capture_output=True, timeout=60, env=environment)
    return file, key


class Tls:
    """TLS in front of a broker that has none. What does not begin like TLS is passed on as it is."""

    def __init__(self, file: Path, key: Path, client_authority: Path | None = None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file, key)
        if client_authority is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(client_authority)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.broker_port = 0
        self.handshakes = 0
        self.refusals: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if client.recv(1, socket.MSG_PEEK) == b"\x16":  # the first byte of a TLS handshake
                client = self._context.wrap_socket(client, server_side=True)
                self.handshakes += 1
            broker = socket.create_connection(("127.0.0.1", self.broker_port))
        except OSError as error:
            self.refusals.append(str(error))
            client.close()
            return
        for source, target in ((client, broker), (broker, client)):
            threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def broker_behind(tls: Tls) -> Iterator[tuple[EmbeddedBroker, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:  # the broker asks its clients back before it counts as started
        tls.broker_port = free.getsockname()[1]
    broker = EmbeddedBroker(tls.broker_port, advertised_port=tls.port)
    try:
        with broker:
            broker.create_topic("frames")
            yield broker, f"127.0.0.1:{tls.port}"
    finally:
        tls.close()


def every_combination() -> Iterator[Section]:
    """All sections that the settings let through, over every choice of protocol, login and files."""
    files: list[dict[str, str]] = [
        {},
        {"ca_file": "ca.pem"},
        {"certificate_file": "c.pem", "key_file": "k.pem", "key_password": SECRET},
    ]
    logins: list[dict[str, str]] = [{}] + [
        {"mechanism": mechanism, "username": "me", "password": SECRET}
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    ]
    for protocol, file, login, check in itertools.product(
        ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), files, logins, (True, False)
    ):
        with contextlib.suppress(ValidationError):
            yield Section.model_validate({"protocol": protocol, "check_hostname": check, **file, **login})


def test_every_combination_that_the_settings_allow_is_known_to_kafka_python() -> None:
    found = list(every_combination())
    assert len(found) == 2 * (1 + 3 + 3 + 9)
    for section in found:
        arguments = security_of(section).arguments()
        for client in (KafkaConsumer, KafkaProducer, KafkaAdminClient):
            assert set(arguments) <= set(client.DEFAULT_CONFIG), client.__name__
        assert arguments["security_protocol"] == section.protocol
        assert ("ssl_cafile" in arguments) == section.protocol.endswith("SSL")
        assert arguments.get("sasl_mechanism") == section.mechanism
        assert (arguments.get("sasl_plain_password") == SECRET) == section.protocol.startswith("SASL")
        if section.protocol.endswith("SSL"):
            assert arguments["ssl_check_hostname"] is section.check_hostname
            assert arguments["ssl_certfile"] == (str(section.certificate_file) if section.certificate_file else None)
            assert (arguments["ssl_password"] == SECRET) == (section.key_password is not None)


def test_no_password_is_shown() -> None:
    for section in every_combination():
        security = security_of(section)
        options = KafkaSourceOptions("localhost:9092", "frames", "g", security=security)
        for shown in (repr(security), str(security), repr(options), repr(KafkaSource(options)), repr(section)):
            assert SECRET not in shown


@pytest.mark.parametrize("level", ["debug", "info"])
def test_kafka_python_which_would_log_logins_is_kept_quiet(level: str) -> None:
    """At its own level debug it logs every request, and a login is one."""
    logs.set_up(level=level)
    assert not logging.getLogger("kafka.net.connection").isEnabledFor(logging.ERROR)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    missing, garbage = tmp_path / "missing.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    file, key = certificate(tmp_path, "client", "DNS:client", SECRET)
    tls = KafkaSecurity("SSL")
    for wrong, told in (
        (replace(tls, ca_file=missing), f"ca_file: cannot read {missing}: No such file"),
        (replace(tls, ca_file=garbage), f"ca_file: {garbage} holds no certificate"),
        (replace(tls, certificate_file=file, key_file=missing), f"key_file: cannot read {missing}"),
        (replace(tls, certificate_file=garbage, key_file=key), f"{garbage} and {key} cannot be used"),
        (replace(tls, certificate_file=file, key_file=key), f"{file} and {key} cannot be used"),
        (replace(tls, certificate_file=file, key_file=key, key_password="wrong"), "key_password"),
    ):
        with pytest.raises(KafkaSecurityError) as caught:
            wrong.check()
        assert told in str(caught.value) and SECRET not in str(caught.value)
    replace(tls, ca_file=file, certificate_file=file, key_file=key, key_password=SECRET).check()
    replace(IN_THE_CLEAR, ca_file=missing).check()  # no TLS, no files


def test_a_missing_file_is_told_as_the_sources_trouble_and_waited_for(tmp_path: Path) -> None:
    outlet = NotingOutlet()
    missing = tmp_path / "ca.pem"
    options = KafkaSourceOptions("127.0.0.1:1", "frames", "g", security=KafkaSecurity("SSL", missing))
    with Running(KafkaSource(options), outlet) as running:
        assert outlet.wait(lambda: bool(outlet.troubles))
        assert running.thread.is_alive()
    assert f"ca_file: cannot read {missing}" in str(outlet.troubles[0])


@pytest.mark.slow
def test_frames_and_dead_letters_travel_over_tls_with_a_certificate_of_ours(tmp_path: Path) -> None:
    file, key = certificate(tmp_path, "broker", "IP:127.0.0.1")
    ours, our_key = certificate(tmp_path, "us", "DNS:us", SECRET)
    tls = Tls(file, key, client_authority=ours)
    with broker_behind(tls) as (broker, address):
        broker.create_topic("frames.dlq")
        producer = KafkaProducer(bootstrap_servers=broker.address)
        producer.send("frames", key=b"line-1", value=b"picture")
        producer.send("frames", value=b"nobody's")
        producer.flush(10)
        producer.close(timeout=5)
        assert tls.handshakes == 0
        outlet = NotingOutlet()
        security = KafkaSecurity("SSL", file, ours, our_key, SECRET)
        options = KafkaSourceOptions(address, "frames", "g", session_timeout_ms=6_000, security=security)
        with Running(KafkaSource(options), outlet):
            assert outlet.wait(lambda: bool(outlet.frames and outlet.refused)), (outlet.troubles, tls.refusals)
        assert tls.handshakes > 0
        letters = KafkaConsumer(
            "frames.dlq",
            bootstrap_servers=address,
            auto_offset_reset="earliest",
            consumer_timeout_ms=20_000,
            **security.arguments(),
        )
        assert next(iter(letters)).value == b"nobody's"
        letters.close(autocommit=False)


@pytest.mark.slow
def test_a_certificate_for_another_host_or_from_another_authority_is_refused(tmp_path: Path) -> None:
    file, key = certificate(tmp_path, "elsewhere", "DNS:broker.example")
    stranger, _ = certificate(tmp_path, "stranger", "IP:127.0.0.1")
    tls = Tls(file, key)
    with broker_behind(tls) as (_, address):

        def reaches(security: KafkaSecurity) -> bool:
            outlet = NotingOutlet()
            options = KafkaSourceOptions(address, "frames", "g", session_timeout_ms=6_000, security=security)
            with Running(KafkaSource(options), outlet):
                assert outlet.wait(lambda: bool(outlet.troubles))
                told = str(outlet.troubles[0])
            assert "over SSL does not answer" in told or "is assigned yet" in told or told == "None"
            return "does not answer" not in told

        assert not reaches(KafkaSecurity("SSL", file))
        assert tls.refusals, "the client closed the handshake"
        assert not reaches(KafkaSecurity("SSL", stranger, check_hostname=False))
        assert reaches(KafkaSecurity("SSL", file, check_hostname=False))


@pytest.mark.slow
def test_a_login_that_the_broker_refuses_is_told_without_the_password(
    broker: EmbeddedBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "streams")
    outlet = NotingOutlet()
    security = KafkaSecurity("SASL_PLAINTEXT", mechanism="PLAIN", username="me", password=SECRET)
    options = KafkaSourceOptions(broker.address, topic, "g", session_timeout_ms=6_000, security=security)
    with Running(KafkaSource(options), outlet):
        assert outlet.wait(lambda: any(t and "SASL_PLAINTEXT" in t for t in outlet.troubles)), outlet.troubles
    assert caplog.text and SECRET not in caplog.text + str(outlet.troubles)
