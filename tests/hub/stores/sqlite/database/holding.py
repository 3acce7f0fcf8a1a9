"""A program that locks the database at its argument for writing, says so, and holds it until its input ends."""

import sys

import apsw

if __name__ == "__main__":
    connection = apsw.Connection(sys.argv[1])
    connection.execute("BEGIN IMMEDIATE")
    sys.stdout.write("locked\n")
    sys.stdout.flush()
    sys.stdin.read()
