"""A real Skynet node as the other side of our tests.

``make_peer.sh`` builds its environment, ``node.py`` runs a node in it, and
``services/`` holds the Lua services that the tests drive over the wire.
"""
