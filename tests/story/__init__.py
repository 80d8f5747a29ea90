"""The Skynet of September 2013, as small models of how its boot went wrong."""
