"""What the reports share: colours, and how a figure becomes a file."""

from __future__ import annotations

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#c05621", "#718096", "#c53030"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; transparent where the figure's ground is."""
    canvas = FigureCanvasAgg(figure)
    held = BytesIO()
    canvas.print_png(held)  # type: ignore[no-untyped-call]
    return held.getvalue()
