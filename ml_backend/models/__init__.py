"""What the models of both backends share: checkpoints, downloads, devices, layers."""
