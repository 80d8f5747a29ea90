"""A web application over actors: ``python klein_app.py``.

It prints where it is; ``curl -X POST .../gold/alice/100`` puts gold into the bank.
"""

from bank import Bank
from klein import Klein
from twisted.internet import endpoints, task
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from skynet_tw import SkynetError, make_node


class Web:
    """Pages that ask the bank, whichever node it lives in."""

    app = Klein()

    def __init__(self, client):
        self.client = client

    @app.route("/gold/<who>/<int:amount>", methods=["POST"])
    async def deposit(self, request, who, amount):
        gold = await self.client.call("BANK", "DEPOSIT", who, amount, timeout=2.0)
        return f"{who} has {gold} now\n"

    @app.handle_errors(SkynetError)
    def failed(self, request, failure):
        # Nothing was done: the client may ask again.  Otherwise it may have been.
        request.setResponseCode(503 if failure.value.retry_safe else 502)
        return f"{failure.getErrorMessage()}\n"


async def main(reactor):
    service = make_node(
        {"standalone": "127.0.0.1:0", "address": "127.0.0.1:0"},
        reactor=reactor,
        actors=[Bank],
    )
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    await service.when_ready()
    site = Site(Web(service.node.client()).app.resource())
    listening = endpoints.serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    port = await listening.listen(site)
    print(f"http://127.0.0.1:{port.getHost().port}", flush=True)
    await Deferred()


if __name__ == "__main__":
    task.react(main)
