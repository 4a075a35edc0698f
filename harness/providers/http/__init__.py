"""The HTTP engine: what every provider with an HTTP API has in common.

    socket - connection - listener - exchange - verdict - HttpApi: what a request says, how it is answered
                                        |          `----- faults, limits, idempotency: what happens instead
                                        `----- ledger, pack: the record is made before the answer

A provider's API (`api.HttpApi`, one per preset) is pure functions over plain data; it sees no socket, no
clock and no journal. Listeners come in pairs: the real one, and a twin that takes every credential for a
wrong one.
"""
