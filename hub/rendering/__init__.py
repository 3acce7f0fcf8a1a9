"""Templates: from an event to the text that a channel sends."""

from hub.rendering.composer import Composer
from hub.rendering.renderer import Renderer
from hub.rendering.sandbox import RenderFailed

__all__ = ["Composer", "RenderFailed", "Renderer"]
