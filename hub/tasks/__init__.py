"""Long work that a person asked for: it can be watched and cancelled, and ends as failed if its process dies."""

from hub.tasks.recovery import TaskRecovery
from hub.tasks.runner import RUNNING_AT_ONCE, UNFINISHED_PER_TENANT, Progress, TaskRunner, Work

__all__ = ["RUNNING_AT_ONCE", "UNFINISHED_PER_TENANT", "Progress", "TaskRecovery", "TaskRunner", "Work"]
