"""Shared by the models of both backends: checkpoints, downloads, devices, layers."""
