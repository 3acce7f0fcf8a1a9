"""The processes of the hub: the app under uvicorn, from the listening socket to the graceful stop."""
