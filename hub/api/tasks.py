"""Long work: watching it and cancelling it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from hub.api.access import CurrentServices, Manager, Reader
from hub.api.problems import problems
from hub.api.shapes import Paging, json_response, listed, location
from hub.models import Task
from hub.runtime import Services

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

TaskId = Annotated[str, Path(max_length=100, examples=["tsk_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


class TaskList(BaseModel):
    items: list[Task]
    next_cursor: str | None


def accepted(services: Services, task: Task) -> Response:
    """The answer to a request that started a task."""
    return json_response(task, 202, location(services, f"/v1/tasks/{task.id}"))


@router.get("", response_model=TaskList, responses=problems(400, 401, 403, 422, 503))
async def list_tasks(services: CurrentServices, caller: Reader, page: Paging) -> Response:
    """Tasks, newest first."""
    found = await services.tasks.listing(caller.tenant, page)
    return listed(found.items, found.next_cursor)


@router.get("/{task_id}", response_model=Task, responses=problems(401, 403, 404, 422, 503))
async def get_task(task_id: TaskId, services: CurrentServices, caller: Reader) -> Response:
    """A task: how far it is, and at its end its result or error."""
    return json_response(await services.tasks.task(caller.tenant, task_id))


@router.post("/{task_id}/cancel", response_model=Task, responses=problems(401, 403, 404, 409, 413, 422, 503))
async def cancel_task(task_id: TaskId, services: CurrentServices, caller: Manager) -> Response:
    """End a task that is pending or running."""
    return json_response(await services.tasks.cancel(caller.tenant, task_id))
