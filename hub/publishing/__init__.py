"""From the bytes of a request to an accepted event: parsing, checking, matching, committing."""
