"""What the hub does for itself: housekeeping on a timetable, and copying a whole store."""
