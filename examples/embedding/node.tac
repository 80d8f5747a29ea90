"""A node as one of an application's services: ``twistd -ny node.tac``.

It runs the master as well.  The log says which ports the system chose for 0.
"""

from bank import Bank
from twisted.application.service import Application
from twisted.internet import reactor

from skynet_tw import make_node

application = Application("bank")
node = make_node(
    {"harbor": 1, "standalone": "127.0.0.1:0", "address": "127.0.0.1:0"},
    reactor=reactor,
    actors=[Bank],
    # It has said why in the log; an application without its node is of no use.
    on_failure=lambda error: reactor.stop(),
)
node.setServiceParent(application)
