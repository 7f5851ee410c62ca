"""The image is built from the pins that the tests run with, and runs as nobody in particular."""

import fnmatch
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
STEPS = [
    (keyword, rest)
    for keyword, _, rest in (line.partition(" ") for line in DOCKERFILE.splitlines())
    if keyword.isupper()
]


def step(keyword: str) -> str:
    """The last step of that kind, which is the one that counts."""
    return [rest for name, rest in STEPS if name == keyword][-1]


def copied() -> list[str]:
    return [source for name, rest in STEPS if name == "COPY" for source in rest.split()[:-1]]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].split(";")[0].strip() for line in lines]
    return dict(pin.lower().split("==") for pin in pins if pin)


def test_everything_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source


def test_all_packages_of_the_distribution_are_copied() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "scripts"}
    assert packages == {"monitor", "dashboards", "models", "streams"}
    assert packages <= set(copied())


def test_every_pip_install_is_held_to_the_constraints() -> None:
    installs = [rest for name, rest in STEPS if name == "RUN" and "pip install" in rest]
    assert installs
    for command in installs:
        assert "-c constraints.txt" in command
        assert not re.search(r"==|>=|~=", command), "versions belong in constraints.txt"


def test_constraints_pin_exactly_and_the_default_index_has_each() -> None:
    pins = constraints()
    assert "torch" in pins
    for name, version in pins.items():
        assert re.fullmatch(r"[0-9][0-9a-z.!]*", version), (
            f"{name}=={version}: a local version such as +cpu is on no public index"
        )


def test_python_is_the_one_of_the_tests_and_of_the_distribution() -> None:
    found = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", step("FROM"))
    assert found is not None
    assert found[1] == f"{sys.version_info.major}.{sys.version_info.minor}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found[1] in project["requires-python"]


def test_the_system_libraries_that_opencv_needs_are_installed() -> None:
    (install,) = [rest for name, rest in STEPS if name == "RUN" and "apt-get install" in rest]
    assert {"libgl1", "libglib2.0-0", "libxcb1"} <= set(install.split())


def test_it_runs_as_another_user_than_root() -> None:
    assert step("USER") not in ("root", "0")
    last_root_step = max(i for i, (name, _) in enumerate(STEPS) if name in ("RUN", "COPY"))
    user_step = next(i for i, (name, _) in enumerate(STEPS) if name == "USER")
    assert user_step > last_root_step


def test_port_command_and_configuration_agree() -> None:
    settings = yaml.safe_load((ROOT / "deploy/linewatch.yaml").read_text(encoding="utf-8"))
    port = settings["http"]["port"]
    assert step("EXPOSE") == str(port)
    assert f"http://127.0.0.1:{port}/healthz" in step("HEALTHCHECK")
    assert step("ENTRYPOINT") == '["linewatch"]'
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    mounts = [item.split(":") for item in compose["services"]["linewatch"]["volumes"]]
    (configuration,) = [to for source, to, *_ in mounts if source == "./deploy/linewatch.yaml"]
    assert step("CMD") == f'["run", "{configuration}"]'


def test_the_health_check_is_a_command_that_python_can_read() -> None:
    command = yaml.safe_load(step("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
