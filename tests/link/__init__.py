"""Tests of `skynet_tw.link`."""
