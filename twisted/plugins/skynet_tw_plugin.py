from twisted.application.service import ServiceMaker

skynet = ServiceMaker(
    "skynet_tw", "skynet_tw.tap", "A Skynet node with actors in Python.", "skynet"
)
