"""The Rasa side of understanding: one file per step of config.yml, each a thin wrapper around `nlu.server.learning`."""
