"""Deterministic simulation: the real parts of hub processes, and one seed that decides everything that happens to them.

Publisher, catalogue, dispatcher, lanes, recorder, fan-out and store are those of the hub. The simulation has the event
loop (`loop`: its time is virtual), the channel (`targets`), and the ports of the store (`calls`): each call is held
until the scheduler lets it run, and its answer until the scheduler lets it go. So one generator of random numbers
chooses every interleaving of some processes on one store (`world`) together with what happens to them: events,
changes of the catalogue, cancellations, replays, crashes, outages of the store, and steps of the time of day.

After each call `oracle` compares what the store has with what was accepted and sent. A failure is replayed by its seed:

    make simulate                               # 10,000 seeds over the model, fewer over the real stores
    make simulate ARGS='--store sqlite --seed 42 --trace'

The store is the model (`model`), SQLite or a Redis server. Over the model and SQLite the same seed gives the same
trace. Over Redis it decides the order of all calls, but the server is another program: what follows from its own time
is not part of that promise.

Two things are smaller than in a hub, so that a few events show what otherwise takes thousands: a process's room, and
the chunks of a fan-out.
"""
