"""The command `skynet-tw`: call the actors and services of a cluster from a shell."""
