"""Thin Twisted protocols and factories over `skynet_tw.link`."""
