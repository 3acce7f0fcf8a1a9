"""Periodic housekeeping: when it runs, and running it now."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from hub.api.access import Admin, CurrentServices, Reader
from hub.api.problems import problems
from hub.api.shapes import KnownParameters, listed
from hub.api.tasks import accepted
from hub.models import Task
from hub.tasks import Progress
from schedules.timetable import TimetableEntry

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])

Name = Annotated[str, Path(max_length=100, examples=["temp-files"])]


class Schedule(BaseModel):
    """A line of the timetable, and how it last ran in any process. The embedded store keeps that until it is closed."""

    name: str = Field(examples=["temp-files"])
    trigger: str = Field(
        description="`every 10 min`, or a crontab line in UTC.", examples=["every 10 min", "0 3 * * *"]
    )
    next_run_at: datetime | None = Field(
        description="Null while it is not known; in the past when no process is there to run it."
    )
    last_run_at: datetime | None = None
    last_outcome: Literal["succeeded", "failed", "cancelled"] | None = None
    last_error: str | None = Field(default=None, description="The kind of failure; the hub's log has the rest.")
    last_duration_seconds: float | None = None


class ScheduleList(BaseModel):
    items: list[Schedule]
    next_cursor: str | None = Field(description="Always null: the list is short.")


def _shown(entry: TimetableEntry) -> Schedule:
    schedule = Schedule(name=entry.name, trigger=entry.trigger, next_run_at=entry.next_run_at)
    if entry.last_run is None:
        return schedule
    return schedule.model_copy(
        update={
            "last_run_at": entry.last_run.started_at,
            "last_outcome": entry.last_run.outcome,
            "last_error": entry.last_run.error,
            "last_duration_seconds": entry.last_run.duration_seconds,
        }
    )


@router.get("", response_model=ScheduleList, responses=problems(401, 403, 422, 503))
async def list_schedules(services: CurrentServices, caller: Reader, known: KnownParameters) -> Response:
    """Every schedule, by name."""
    return listed([_shown(entry) for entry in await services.housekeeping.entries()])


@router.post(
    "/{name}/run",
    status_code=202,
    response_model=Task,
    responses=problems(401, 403, 404, 413, 422, 429, 503),
)
async def run_schedule(name: Name, services: CurrentServices, caller: Admin) -> Response:
    """Run a schedule now, as a task. Housekeeping concerns all tenants, so this needs the scope `admin`."""
    job = services.housekeeping.job(name)

    async def work(progress: Progress) -> dict[str, object]:
        return dict(await job())

    # A task, because a job may take longer than a client waits for an answer.
    return accepted(services, await services.tasks.start(caller.tenant, f"schedule:{name}", work))
