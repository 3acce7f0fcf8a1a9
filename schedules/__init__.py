"""Periodic housekeeping: a timetable of named jobs, and the jobs, which know only paths and narrow callables."""
