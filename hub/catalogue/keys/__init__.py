"""Tenants and API keys."""

from hub.catalogue.keys.model import DEFAULT_TENANT, IssuedKey, Key, KeyView, NewKey, NewTenant, Principal, Tenant

__all__ = ["DEFAULT_TENANT", "IssuedKey", "Key", "KeyView", "NewKey", "NewTenant", "Principal", "Tenant"]
