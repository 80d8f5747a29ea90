"""The wire of current Skynet nodes."""
