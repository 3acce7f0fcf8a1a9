"""Words that this project used once, each with the field's word that took its place.

A name that is defined in the packages, and a file, is held against them; what libraries call their own is not.
"""

PARTS = {
    "bury": "reap",
    "disguised": "as_str_bytes",
    "dismiss": "cancel",
    "employ": "run in background",
    "employment": "background",
    "everyones": "all_owners",
    "heed": "on_signal",
    "honours": "is_valid",
    "mourn": "on_exit",
    "reign": "lead",
    "resting": "open",
    "seam": "hand-over cursor",
    "soundness": "server check",
    "vigil": "loss detection",
}
"""Not to be a word of any name."""

NAMES = {
    "Answer": "AcceptResult",
    "Book": "RunHistory",
    "Calls": "GroupCommit",
    "Cancelling": "RequireScope",
    "Claimed": "ClaimResult",
    "Incoming": "ParsedEvent",
    "LiveEnd": "LiveTail",
    "Looking": "RequireScope",
    "Needs": "RequireScope",
    "Note": "record",
    "Right": "Lease",
    "RunBook": "RunHistory",
    "Sign": "HealthMark",
    "TicketOffice": "StreamTickets",
    "Tools": "ChannelContext",
    "Tried": "AttemptResult",
    "Verdict": "ItemResult",
    "Want": "ClaimRequest",
    "Written": "WriteOutcome",
    "_book": "history",
    "_meet": "ensure_known",
    "_see_through": "process",
    "_tell": "notify",
    "about": "describe",
    "alive": "live processes",
    "book": "history",
    "found": "on_rollback, ensure_defaults",
    "life": "heartbeat lease",
    "native": "parse_native",
    "obtain": "acquire",
    "rest": "open",
    "tell": "notify",
    "yielding_to": "evictable",
}
"""Not to be a class, a function, an attribute or a module's name; a local variable may be called so."""

MODULES = {
    "employment": "background",
    "entering": "importer",
    "faults": "validation, errors",
    "incoming": "event",
    "leaving": "exporter",
    "numbers": "stats",
    "rights": "lease",
    "soundness": "server_check",
    "totals": "stats",
    "vigil": "loss_detection",
    "walk": "index_scan",
}
"""Not to be the name of a Python file or a package."""

SCRIPTS = {
    "arriving": "new_delivery",
    "moving": "transfer",
    "reach": "transfer_mark",
    "tally": "count",
    "touch": "write_probe",
    "waiting": "ready",
}
"""Not to be the name of a Lua file: these are nouns."""

ONCE = ("Clock", "Entry", "Instant", "Lane", "Selection")
"""Each names one thing, in one place."""
