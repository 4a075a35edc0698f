"""Proxies between the system under test and the providers: Toxiproxy, or our own server with its API."""
