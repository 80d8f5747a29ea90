"""Tests of `skynet_tw.wire`."""
