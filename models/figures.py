"""What the reports share: colours, and how a figure becomes a file."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#c05621", "#718096", "#c53030"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; transparent where the figure's ground is."""
    canvas = FigureCanvasAgg(figure)
    held = BytesIO()
    canvas.print_png(held)  # type: ignore[no-untyped-call]
    return held.getvalue()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
