"""What models are trained on and measured by: folders of pictures, their masks, MNIST and CIFAR-10."""

from models.datasets.labelled import Dataset, Labelled, Loaded
from models.datasets.layouts import find
from models.datasets.mask_pixels import load_masks
from models.datasets.overlap import overlap
from models.datasets.protocol import Split, divide, protocol
from models.datasets.published import open_published, recognise
from models.datasets.reading import load

__all__ = [
    "Dataset",
    "Labelled",
    "Loaded",
    "Split",
    "divide",
    "find",
    "load",
    "load_masks",
    "open_published",
    "overlap",
    "protocol",
    "recognise",
]
