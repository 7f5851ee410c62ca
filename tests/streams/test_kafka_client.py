"""What cannot be made leaves no thread and no file behind: brokers are away for hours, and tried all the time."""

from __future__ import annotations

import gc
import os
import threading

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from monitor.embedded.server import HOST, free_port
from streams.kafka_client import opened


@pytest.mark.parametrize("kind", [KafkaConsumer, KafkaProducer])
def test_a_client_that_finds_no_broker_leaves_nothing_behind(kind: type) -> None:
    def held() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = held()
    for _ in range(3):
        with pytest.raises(KafkaError):
            opened(kind, bootstrap_servers=f"{HOST}:{free_port()}", bootstrap_timeout_ms=300)
    assert held() == before
