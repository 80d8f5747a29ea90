"""The command `skynet-tw`."""
