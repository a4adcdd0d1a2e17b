"""The NLU server: Rasa with our components, in an environment of its own; the service never imports it."""
