"""What Label Studio sends and must get back: label configs, prompts, regions, tokens."""
