"""What every store must do, proved through its contracts alone: a new store is one more address in `conftest`."""
