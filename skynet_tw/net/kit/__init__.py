"""What all wires share: connections, dialing, waiting, watching, closing."""
