"""docker-compose.yml and the files that it mounts agree with each other and with the settings."""

import importlib.resources
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.inputs import KafkaInput
from monitor.settings_file import load_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
# Made by whoever runs it, as docs/deploy.md tells; never under version control.
MADE_BY_THE_OPERATOR = ("checkpoints", "secrets")
OVERRIDES = ("docker-compose.gpu.yml", "docker-compose.annotations.yml")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def merged(base: Any, override: Any) -> Any:
    """As Compose merges files, for what the overrides use: mappings by key, lists end to end."""
    if isinstance(base, dict) and isinstance(override, dict):
        both = {key: merged(base[key], override[key]) for key in base.keys() & override.keys()}
        return {**base, **override, **both}
    if isinstance(base, list) and isinstance(override, list):
        return base + override
    return override


COMPOSE = load(ROOT / "docker-compose.yml")
ALL_FILES = COMPOSE
for _name in OVERRIDES:
    ALL_FILES = merged(ALL_FILES, load(DEPLOY / _name))
SERVICES: dict[str, dict[str, Any]] = ALL_FILES["services"]
LINEWATCH = load(DEPLOY / "linewatch.yaml")
PROMETHEUS = load(DEPLOY / "prometheus.yml")
MEDIAMTX = load(DEPLOY / "mediamtx.yml")
DATASOURCES = load(ROOT / "dashboards/provisioning/datasources/linewatch.yaml")["datasources"]


def compose_variants() -> dict[str, Any]:
    variants = {"alone": COMPOSE, "with every override": ALL_FILES}
    for name in OVERRIDES:
        variants[f"with {name}"] = merged(COMPOSE, load(DEPLOY / name))
        variants[f"{name} itself"] = load(DEPLOY / name)
    return variants


def kafka_listeners(key: str) -> dict[str, tuple[str, int]]:
    listeners = {}
    for entry in SERVICES["kafka"]["environment"][key].split(","):
        name, _, address = entry.partition("://")
        host, _, port = address.rpartition(":")
        listeners[name] = (host, int(port))
    return listeners


def listening_ports() -> dict[str, set[int]]:
    """The ports at which each service can be reached by name, from the service's own settings."""
    grafana_url = urlsplit(SERVICES["grafana"]["healthcheck"]["test"][-1])
    prometheus_url = urlsplit(SERVICES["prometheus"]["healthcheck"]["test"][-1])
    assert grafana_url.port is not None and prometheus_url.port is not None
    advertised = kafka_listeners("KAFKA_ADVERTISED_LISTENERS")
    return {
        "kafka": {port for host, port in advertised.values() if host == "kafka"},
        "redis": {6379},
        "mediamtx": {int(MEDIAMTX["rtspAddress"].rpartition(":")[2])},
        "linewatch": {LINEWATCH["http"]["port"]},
        "dispatch": set(),
        "prometheus": {prometheus_url.port},
        "grafana": {grafana_url.port},
    }


def addresses_used() -> Iterator[tuple[str, str, int]]:
    """(where it stands, host, port) of everything that one service expects of another."""
    for source in LINEWATCH["sources"]:
        if "kafka" in source:
            yield "sources.kafka", *_host_port(source["kafka"]["bootstrap_servers"])
        else:
            yield "sources.rtsp", *_host_port(source["rtsp"]["url"])
    yield "redis.url", *_host_port(LINEWATCH["redis"]["url"])
    yield "publish", *_host_port(LINEWATCH["publish"]["bootstrap_servers"])
    environment = SERVICES["linewatch"]["environment"]
    yield "LINEWATCH_GRAFANA__URL", *_host_port(environment["LINEWATCH_GRAFANA__URL"])
    for job in PROMETHEUS["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            host, port = _host_port(target)
            yield f"job {job['job_name']}", "prometheus" if host == "localhost" else host, port
    for datasource in DATASOURCES:
        yield datasource["name"], *_host_port(datasource["url"])
    voter = SERVICES["kafka"]["environment"]["KAFKA_CONTROLLER_QUORUM_VOTERS"].partition("@")[2]
    controller_port = kafka_listeners("KAFKA_LISTENERS")["CONTROLLER"][1]
    assert voter == f"kafka:{controller_port}"


def _host_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address if "://" in address else f"//{address}")
    assert parts.hostname is not None and parts.port is not None, address
    return parts.hostname, parts.port


@pytest.mark.parametrize("variant", compose_variants())
def test_valid_against_the_compose_specification(variant: str) -> None:
    package = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads(package.joinpath("compose-spec.json").read_text(encoding="utf-8"))
    faults = [
        f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}"
        for fault in Draft202012Validator(schema).iter_errors(compose_variants()[variant])
    ]
    assert faults == []


def test_the_schema_finds_a_misspelt_key() -> None:
    package = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads(package.joinpath("compose-spec.json").read_text(encoding="utf-8"))
    wrong = merged(COMPOSE, {"services": {"redis": {"helthcheck": {}}}})
    assert not Draft202012Validator(schema).is_valid(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_checked_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    if "build" in service:
        assert (ROOT / "Dockerfile").is_file()
        assert re.search(r"^HEALTHCHECK ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        return
    assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), "the tag must name a patch version"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_what_can_tell_its_health(name: str) -> None:
    for other, wish in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wish["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_are_bound_to_loopback_and_lead_somewhere(name: str) -> None:
    listening = listening_ports()[name]
    if name == "kafka":
        listening = {kafka_listeners("KAFKA_LISTENERS")["HOST"][1]}
    for published in SERVICES[name].get("ports", []):
        address, _, container_port = published.rpartition(":")
        assert address.startswith("127.0.0.1:"), published
        assert int(container_port) in listening, published


def test_kafka_tells_this_machine_the_port_that_is_published() -> None:
    (published,) = SERVICES["kafka"]["ports"]
    host, port = kafka_listeners("KAFKA_ADVERTISED_LISTENERS")["HOST"]
    assert published == f"127.0.0.1:{port}:{kafka_listeners('KAFKA_LISTENERS')['HOST'][1]}"
    assert host == "localhost"


def test_kafka_takes_messages_as_large_as_linewatch_reads() -> None:
    environment = SERVICES["kafka"]["environment"]
    largest = KafkaInput.model_fields["max_message_bytes"].default
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) >= largest
    assert int(environment["KAFKA_REPLICA_FETCH_MAX_BYTES"]) >= largest


def test_redis_writes_alerts_down_and_forgets_none() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize(
    ("where", "host", "port"),
    list(addresses_used()),
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_every_address_is_one_where_a_service_listens(where: str, host: str, port: int) -> None:
    assert host in SERVICES, f"{where}: no service is called {host}"
    assert port in listening_ports()[host], f"{where}: {host} does not listen on {port}"


@pytest.mark.parametrize("name", SERVICES)
def test_every_mounted_file_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith("."):
            assert source in ALL_FILES["volumes"], f"the volume {source} is not declared"
        elif source.removeprefix("./") not in MADE_BY_THE_OPERATOR:
            assert (ROOT / source).exists(), volume
            assert volume.endswith(":ro"), "what the repository ships must not be written to"


def test_every_declared_volume_is_used() -> None:
    used = {item.split(":")[0] for one in SERVICES.values() for item in one.get("volumes", [])}
    assert set(ALL_FILES["volumes"]) <= used


def test_what_the_operator_makes_is_documented_and_ignored() -> None:
    guide = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for folder in MADE_BY_THE_OPERATOR:
        assert f"/{folder}/" in ignored
    for secret in ALL_FILES["secrets"].values():
        assert secret["file"].removeprefix("./") in guide
    assert "checkpoints/model.safetensors" in guide
    for override in OVERRIDES:
        assert f"deploy/{override}" in guide


def test_every_secret_that_a_file_names_is_given_to_the_service_that_reads_it() -> None:
    readers = {
        "linewatch": [
            LINEWATCH["http"]["token_file"],
            LINEWATCH["http"]["link_key_file"],
            SERVICES["linewatch"]["environment"]["LINEWATCH_GRAFANA__TOKEN_FILE"],
        ],
        "dispatch": [LINEWATCH["http"]["token_file"], LINEWATCH["http"]["link_key_file"]],
        "prometheus": [PROMETHEUS["scrape_configs"][0]["authorization"]["credentials_file"]],
        "grafana": [
            SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"],
            *re.findall(r"\$__file\{(.+?)\}", json.dumps(DATASOURCES)),
        ],
    }
    for name, files in readers.items():
        granted = {f"/run/secrets/{secret}" for secret in SERVICES[name]["secrets"]}
        assert set(files) == granted, name
    assert {secret for one in SERVICES.values() for secret in one.get("secrets", [])} == set(ALL_FILES["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_into_the_file(name: str) -> None:
    for key in SERVICES[name].get("environment", {}):
        if re.search("PASSWORD|TOKEN|SECRET", key):
            assert key.endswith("_FILE"), key


def test_the_shipped_configuration_is_one_that_linewatch_takes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a-token\n")
    key = tmp_path / "key"
    key.write_text("0123456789abcdef\n")
    text = (DEPLOY / "linewatch.yaml").read_text(encoding="utf-8")
    path = tmp_path / "linewatch.yaml"
    # The example that is commented out as well: what people uncomment must be right.
    text = re.sub(r"(?m)^# (?=channels:|subscriptions:| )", "", text)
    for name, file in ((LINEWATCH["http"]["token_file"], secret), (LINEWATCH["http"]["link_key_file"], key)):
        text = text.replace(name, str(file))
    url = tmp_path / "url"
    url.write_text("mailtos://linewatch:password@mail.example?to=shift@plant.example\n")
    path.write_text(text.replace("/run/secrets/shift_mail", str(url)), encoding="utf-8")
    environment = dict(SERVICES["linewatch"]["environment"])
    environment["LINEWATCH_GRAFANA__TOKEN_FILE"] = str(secret)
    settings = load_settings(path, environment)
    assert settings.http.token is not None and settings.http.token.get_secret_value() == "a-token"
    assert settings.grafana is not None and settings.grafana.token is not None
    assert [one.name for one in settings.channels] == ["shift-mail"] and settings.subscriptions[0].to == ("shift-mail",)


def test_paths_in_the_configuration_are_where_the_volumes_are() -> None:
    targets = {item.split(":")[1] for item in SERVICES["linewatch"]["volumes"]}
    assert str(Path(LINEWATCH["model"]["checkpoint"]).parent) in targets
    assert any(Path(LINEWATCH["evidence"]["dir"]).is_relative_to(target) for target in targets)


def test_prometheus_and_grafana_agree_on_job_and_interval() -> None:
    assert PROMETHEUS["scrape_configs"][0]["job_name"] == "linewatch"
    assert DATASOURCES[0]["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    rules = (ROOT / "dashboards/provisioning/alerting/linewatch.yaml").read_text(encoding="utf-8")
    assert 'up{job="linewatch"}' in rules


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_prometheus_configuration() -> None:
    command = ["promtool", "check", "config", "--syntax-only", str(DEPLOY / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_gpu_override_asks_for_a_gpu_and_a_torch_that_sees_it() -> None:
    service = merged(COMPOSE, load(DEPLOY / "docker-compose.gpu.yml"))["services"]["linewatch"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    assert service["build"]["args"]["TORCH_INDEX"] == ""
