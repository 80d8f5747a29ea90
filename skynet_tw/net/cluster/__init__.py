"""The wire of Skynet's cluster."""
