"""Tests of `skynet_tw.net` and of the network in memory."""
