"""Pictures of environments from plain numbers; `Canvas` is for authors, and needs Pillow when it is used."""

from jaxenvs.render.canvas import Canvas, around, mix, number, ramp

__all__ = ["Canvas", "around", "mix", "number", "ramp"]
