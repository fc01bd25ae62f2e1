"""What docker-compose.yml runs once on each start, beside the servers."""
