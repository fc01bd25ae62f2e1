"""One-shot steps of docker-compose.yml, run on each start next to the servers."""
