"""`beacon serve`: the HTTP face of the queue.

Says how the queue stands, takes jobs in, and has each carried out by a process of its own: `beacon run`. So a job
that crashes takes neither the server nor another job with it, the engine's own ways of stopping and resuming hold,
and what the server did is in run folders like any other run's. Nothing but `beacon serve` imports this room.
"""
