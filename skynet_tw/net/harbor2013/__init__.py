"""The wire of September 2013."""
