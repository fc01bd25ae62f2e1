"""Label Studio and both backends on one machine, joined in a project and ended together."""
