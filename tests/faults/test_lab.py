"""The tools of the lab do what the experiments take for granted."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from monitor.embedded.server import HOST, free_port
from tests.faults.disk import TinyDisk
from tests.faults.lab import lasting_valkey
from tests.faults.proxy import Door


def test_a_valkey_with_a_folder_has_its_data_again_on_its_port(tmp_path: Path) -> None:
    server = lasting_valkey(tmp_path)
    with server:
        client = Redis.from_url(server.address)
        client.set("kept", "yes")
        server.stop()
        with pytest.raises(RedisConnectionError):
            client.get("kept")
        server.start()
        assert client.get("kept") == b"yes"
        client.close()


def test_a_door_passes_on_and_once_shut_cuts_and_refuses() -> None:
    with socket.create_server((HOST, 0)) as target, Door(free_port(), target.getsockname()[1]) as door:
        with socket.create_connection((HOST, door.port), timeout=5) as client:
            served, _ = target.accept()
            with served:
                client.sendall(b"there")
                assert served.recv(16) == b"there"
                served.sendall(b"and back")
                assert client.recv(16) == b"and back"
                door.shut()
                assert client.recv(16) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, door.port), timeout=5)
        door.open()
        socket.create_connection((HOST, door.port), timeout=5).close()


def test_a_tiny_disk_is_full_when_filled_and_not_afterwards(tmp_path: Path) -> None:
    """A shell in place of the service tries to write whenever it is told."""
    disk = TinyDisk(tmp_path / "disk", 64 << 10)
    # A new file each time: one that is written over would find the room that it had.
    writes = 'trap "" XFSZ; while read name; do echo data 2> /dev/null > "$0/$name" && echo yes || echo no; done'
    with subprocess.Popen(
        [*disk.before, "sh", "-c", writes, str(tmp_path / "disk")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin is not None and shell.stdout is not None

        def can_write(name: str) -> bool:
            assert shell.stdin is not None and shell.stdout is not None
            shell.stdin.write(f"{name}\n")
            shell.stdin.flush()
            return shell.stdout.readline() == "yes\n"

        try:
            assert can_write("before")
            disk.fill(shell.pid)
            assert not can_write("meanwhile")
            disk.free(shell.pid)
            assert can_write("after")
        finally:
            shell.kill()
