"""The upkeep of a hub: housekeeping on a timetable, and copying one store into another."""
