"""The HTTP engine: what every provider with an HTTP API has in common.

    socket - connection - exchange - verdict - HttpApi: what a request says, how it is answered
                 |           |          `----- faults, limits, idempotency: what happens instead
                 |           `----- ledger, pack: the record is made before the answer; then aftermath
                 `----- listener: who comes and goes

HTTP is h11's; there is no server and no framework in between. Reading a request, judging, recording and
answering it is one call without a task or a wait in it, so that nothing can come between a record and its
answer; what is to wait (a slow acknowledgement, a request that hangs) lingers on its connection.

A provider's API (`api.HttpApi`, one per preset) is pure functions over plain data; it sees no socket, no
clock and no journal. Listeners come in pairs: the real one, and a twin that takes every credential for a
wrong one.
"""
