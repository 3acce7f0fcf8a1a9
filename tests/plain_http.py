"""What a client needs that speaks no TLS."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. Without it as `verify`, each client of httpx takes 27 ms to read the authorities that it trusts."""
