"""Every method by its name, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

from models.method import Method

PLACES = {
    "ganomaly": ("models.methods.ganomaly", "Ganomaly"),
    "pca": ("models.methods.pca", "Pca"),
    "cae": ("models.methods.cae", "ConvolutionalAutoencoder"),
    "vae": ("models.methods.vae", "Vae"),
    "aae": ("models.methods.aae", "Aae"),
    "anogan": ("models.methods.anogan", "AnoGan"),
    "egbad": ("models.methods.egbad", "Egbad"),
    "skip-ganomaly": ("models.methods.skip_ganomaly", "SkipGanomaly"),
    "riad": ("models.methods.riad", "Riad"),
    "calibrated": ("models.methods.calibrated", "Calibrated"),
}
METHODS = tuple(PLACES)


def method(name: str) -> type[Method]:
    """ValueError where there is none of that name."""
    if name not in PLACES:
        raise ValueError(f"scorer is {name!r}: choose one of {', '.join(METHODS)}")
    module, kind = PLACES[name]
    found: type[Method] = getattr(import_module(module), kind)
    return found
