"""What tests of actors use: a network in memory that a clock drives."""
