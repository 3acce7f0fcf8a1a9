"""The key that stored secrets are sealed with."""

from fastapi import APIRouter, Response

from hub.api.access import Admin, CurrentServices
from hub.api.problems import problems
from hub.api.tasks import accepted
from hub.models import Task

router = APIRouter(prefix="/v1/secrets", tags=["secrets"])


@router.post("/rotate", status_code=202, response_model=Task, responses=problems(401, 403, 413, 422, 429, 503))
async def rotate_secrets(services: CurrentServices, caller: Admin) -> Response:
    """Seal the secrets of all targets with the newest key, as a task. Nothing stops meanwhile.

    A key that the hub generated is replaced by a new one. Otherwise every process first needs `HUB_SECRET_KEY` with the
    new key and `HUB_PREVIOUS_SECRET_KEY` with the old one.
    """
    return accepted(services, await services.tasks.start(caller.tenant, "secrets:rotate", services.rotation.rotate))
