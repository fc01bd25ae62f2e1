"""Label Studio and both backends on one machine, started and stopped together."""
