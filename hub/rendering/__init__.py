"""Templates: what a channel is given to say about an event."""

from hub.rendering.renderer import Renderer
from hub.rendering.sandbox import RenderFailed

__all__ = ["RenderFailed", "Renderer"]
