"""What `measure.py` measures: files, rooms, exceptions, words."""
