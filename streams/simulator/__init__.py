"""The simulated production line: rendered parts on a belt with planted defects and their truth."""

from streams.simulator.film import film_frames, write_film
from streams.simulator.footage import FilmFootage, Footage, LineFootage
from streams.simulator.notes import truth_of_plays
from streams.simulator.player import KafkaPlayer, Play
from streams.simulator.scene import Line
from streams.simulator.segments import read_segments, segments_beside
from streams.simulator.span import Span
from streams.simulator.truth import Alert, Outcome, Planted, match, read_truth, write_truth

__all__ = [
    "Alert",
    "FilmFootage",
    "Footage",
    "KafkaPlayer",
    "Line",
    "LineFootage",
    "Outcome",
    "Planted",
    "Play",
    "Span",
    "film_frames",
    "match",
    "read_segments",
    "read_truth",
    "segments_beside",
    "truth_of_plays",
    "write_film",
    "write_truth",
]
