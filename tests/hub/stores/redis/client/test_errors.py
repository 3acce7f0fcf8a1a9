"""What errors of Redis, of the client and of the network are to those who call."""

import ssl

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, NoPermissionError, OutOfMemoryError, ResponseError

from hub.errors import HubError, Unavailable
from hub.stores.redis.client.errors import Denied, Lost, Refused, translate


def with_cause(error: RedisConnectionError, cause: BaseException) -> RedisConnectionError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RedisConnectionError("gone"), Lost),
        (OSError(113, "No route to host"), Lost),
        (MovedError("866 127.0.0.1:7001"), Refused),
        (ResponseError("CLUSTERDOWN The cluster is down"), Refused),
        (ResponseError("MASTERDOWN Link with MASTER is down"), Refused),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), Unavailable),
        (ResponseError("ERR user_script:3: -OOM command not allowed script: on @user_script:3."), Unavailable),
        (OutOfMemoryError("command not allowed"), Unavailable),
        (NoPermissionError("this user has no permissions"), Denied),
        (ResponseError("ERR wrong number of arguments"), HubError),
    ],
)
def test_each_is_of_the_kind_that_says_whether_to_try_again(error: Exception, kind: type[HubError]) -> None:
    assert type(translate(error)) is kind  # type: ignore[arg-type] # of either kind


def test_a_certificate_that_is_not_trusted_is_named() -> None:
    told = translate(with_cause(RedisConnectionError("no"), ssl.SSLCertVerificationError("self-signed")))
    assert "certificate" in told.detail


@pytest.mark.timeout(5)
def test_errors_that_lead_back_to_themselves_come_to_an_end() -> None:
    error, other = OSError(113, "No route to host"), RedisConnectionError("no")
    error.__context__, other.__context__ = other, None
    other.__cause__ = error
    assert type(translate(error)) is Lost
