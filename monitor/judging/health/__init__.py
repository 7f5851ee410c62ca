"""The cameras' own health, apart from the parts that they see: offline, frozen, dark, bright, blurred, covered, moved,
relit.

A picture is measured once (`monitor.scoring.sight.measure`, in the decoding threads) and held against what its camera
usually shows (`CameraHealth`, in the judging thread). How each condition is told: docs/camera-health.md.
"""

from monitor.judging.health.health import CameraHealth
from monitor.judging.health.rules import HealthRules
from monitor.judging.health.trouble import Condition, Look, Trouble

__all__ = ["CameraHealth", "Condition", "HealthRules", "Look", "Trouble"]
