"""The API against its own description: schemathesis asks what /openapi.json allows, and what it forbids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup

from monitor.embedded import EmbeddedValkey
from tests.monitor.guarded import Guarded
from tests.monitor.line_state import LineState

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
EXAMPLES = 3
"""Of each operation, as its description allows, and again as it forbids; more were tried by hand."""
KNOWN = {"camera": "line-1", "alert_id": "a1", "name": "shift", "kind": "evidence"}
ENDLESS = "/api/events"


@pytest.fixture
def served(valkey: EmbeddedValkey, prefix: str, tmp_path: Path) -> Iterator[Guarded]:
    limits = {"orders_per_minute": 100_000, "reads_per_minute": 1_000_000}
    line = LineState(tmp_path, valkey.address, prefix)
    made = Guarded(line, limits).start()
    made.see()
    made.alarm()
    line.learn("line-1", 50)
    yield made
    made.server.stop()


def faults(url: str, examples: int = EXAMPLES) -> tuple[list[str], Counter[int]]:
    """What is wrong, and how often each status was answered."""
    config = SchemathesisConfig.from_dict(
        {"checks": {"enabled": False} | {check: {"enabled": True} for check in CHECKS}}
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    found: list[str] = []
    statuses = Counter[int]()
    session = requests.Session()
    session.trust_env = False

    def send(case: Any) -> None:
        # Not `case.call()`: it counts connections as urllib3-future, which niquests puts in place of urllib3, cannot.
        answer = session.request(**case.as_transport_kwargs(base_url=url), timeout=30)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer)
        except (FailureGroup, Failure) as error:
            each = error.exceptions if isinstance(error, FailureGroup) else [error]
            found.append(
                f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:200]}\n" + "\n".join(map(str, each))
            )

    for result in schema.exclude(path=ENDLESS).get_all_operations():
        operation = result.ok()
        parts = {part: name for part, name in KNOWN.items() if f"{{{part}}}" in operation.path}
        # What is allowed, about what is there; what is forbidden, about anything.
        try_all(operation.as_strategy(GenerationMode.POSITIVE, path_parameters=parts or None), send, examples)
        try_all(operation.as_strategy(GenerationMode.NEGATIVE), send, examples)
    return found, statuses


def try_all(cases: Any, send: Any, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case: Any) -> None:
        send(case)

    with suppress(Unsatisfiable):  # an operation without parameters forbids nothing
        run()


@pytest.mark.slow
def test_answers_are_as_the_description_says(served: Guarded) -> None:
    found, statuses = faults(served.server.url)
    assert found == []
    assert statuses[200] > 30 and statuses[422] > 30 and statuses[404] + statuses[409] > 10, statuses
    assert served.client().get("/readyz").status_code == 200
