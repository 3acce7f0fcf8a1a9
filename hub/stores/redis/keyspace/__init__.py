"""How the hub's keys are called, what they hold, and the scripts and walks that write and read them."""
