"""Label Studio: connections, storages, label configs."""
