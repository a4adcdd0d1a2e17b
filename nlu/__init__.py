"""The understanding: what a resident's Chinese sentence means."""
