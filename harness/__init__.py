"""A chaos and failover testing harness for systems that send mail."""

__version__ = "0.1.0"
