"""Periodic housekeeping: a timetable of named jobs, and jobs that know only paths and callables."""
