"""The composition root: every part of a process is made and connected here, and ended in the opposite order."""

from hub.runtime.process import Process, open_process
from hub.runtime.services import Services

__all__ = ["Process", "Services", "open_process"]
