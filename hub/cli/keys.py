"""`hub keys`: creates, lists and revokes API keys."""

from typing import Annotated

import orjson
import typer

from hub.cli.connection import AsJson, Key, Url, connect, err, out, print_json, print_table
from hub.models import Scope

keys = typer.Typer(
    no_args_is_help=True,
    help="Create, list and revoke API keys.\n\nGive each service and each person a key of its own, so that one can be "
    "revoked without the others. These commands need a key with the scope `admin`.",
)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    scope: Annotated[
        list[Scope],
        typer.Option(
            "--scope", "-s", metavar="SCOPE", help=f"What the key may do: {', '.join(Scope)}. Repeat for several."
        ),
    ],
    tenant: Annotated[str | None, typer.Option(help="The tenant it belongs to. [default: default]")] = None,
    expires_at: Annotated[str | None, typer.Option(help="RFC 3339 instant at which it expires.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Create a key for a service or a person, and print it.

    It is shown only this once. Standard output has the key and nothing else, so that a script can take it from there.
    """
    wanted = {"name": name, "scopes": scope, "tenant": tenant, "expires_at": expires_at}
    body = orjson.dumps({member: value for member, value in wanted.items() if value is not None})
    with connect(url, key) as hub:
        created = hub.post("/v1/keys", body)
    if as_json:
        print_json(created)
    else:
        err.print(f"Key [bold]{created['id']}[/] for {', '.join(scope)}; it is shown only now:")
        typer.echo(created["key"])


@keys.command("list")
def list_keys(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the keys of all tenants, newest first, without their secrets."""
    found = []
    cursor: str | None = None
    with connect(url, key) as hub:
        while True:
            page = hub.get("/v1/keys", {"limit": "200", "cursor": cursor})
            found += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    rows = [
        (
            item["id"],
            item["name"],
            " ".join(item["scopes"]),
            item.get("tenant") or "",
            item.get("expires_at") or "never",
        )
        for item in found
    ]
    print_table(("id", "name", "scopes", "tenant", "expires"), rows)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="Id of the key: key_…")],
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key: requests with it are refused from now on.

    Use it when a key may be known to others, or is not needed any more. To replace a key, create the new one first.
    """
    with connect(url, key) as hub:
        hub.delete(f"/v1/keys/{key_id}")
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        out.print(f"[bold]{key_id}[/] is revoked")
