"""Run by ``make test-containers`` alone: these build images and need a Docker engine."""
