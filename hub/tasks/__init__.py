"""Long work that a person asked for: started, watched, cancelled, and never left looking alive by a dead process."""

from hub.tasks.recovery import TaskRecovery
from hub.tasks.runner import RUNNING_AT_ONCE, UNFINISHED_PER_TENANT, Progress, TaskRunner, Work

__all__ = ["RUNNING_AT_ONCE", "UNFINISHED_PER_TENANT", "Progress", "TaskRecovery", "TaskRunner", "Work"]
