"""The servers that the demo and the tests start for themselves: Valkey, a Kafka broker, RTSP.

All come from Python packages, listen on a free port of the loopback interface only, keep
everything in memory (Valkey on disk where it is given a folder), and end with us. They are not for production.
"""

from monitor.embedded.broker import EmbeddedBroker
from monitor.embedded.rtsp import EmbeddedRtsp
from monitor.embedded.server import EmbeddedServer, EmbeddedServerError, check_installed
from monitor.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedBroker",
    "EmbeddedRtsp",
    "EmbeddedServer",
    "EmbeddedServerError",
    "EmbeddedValkey",
    "check_installed",
]
