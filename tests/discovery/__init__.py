"""Where the nodes of a cluster are, in memory and over real engines."""
