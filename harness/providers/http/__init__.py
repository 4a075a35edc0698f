"""The HTTP engine: what every provider with an HTTP API has in common.

    socket - connection - listener - exchange - HttpApi: what a request says, what the provider would answer
                                        `----- ledger, pack, faults: the record is made before the answer

A provider's API (`messages.HttpApi`, one per preset) is pure functions over plain data; it sees no socket,
no clock and no journal. Listeners come in pairs: the real one, and a twin that takes every credential for a
wrong one.
"""
