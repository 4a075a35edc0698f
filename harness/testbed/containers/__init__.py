"""The containers testbed: each part of a run is a container on a Docker engine of this machine.

Nothing in here is imported where Docker is not used: the base install has neither docker nor testcontainers.
"""
