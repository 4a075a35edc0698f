"""What can be wrong with a provider, before or while it runs.

ProviderError
├── ConfigError        the configuration cannot be served: unknown preset, limits out of range, no certificate
├── FaultRefused       a fault this provider cannot play; the message lists what it can
└── JournalError       a record could not be written whole; the answer it belongs to must not go out
"""

from __future__ import annotations


class ProviderError(Exception):
    pass


class ConfigError(ProviderError):
    pass


class FaultRefused(ProviderError):
    pass


class JournalError(ProviderError):
    pass
