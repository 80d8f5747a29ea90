"""Where the nodes of a cluster are: tables, watched files, DNS and etcd.

An existing engine carries the membership; here is what asks it.
"""
