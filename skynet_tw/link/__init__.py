"""Connections without sockets: feed bytes and events, take records and bytes."""
