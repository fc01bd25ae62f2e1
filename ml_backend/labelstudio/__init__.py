"""Label Studio's formats and API: label configs, prompts, regions, annotations, tokens."""
