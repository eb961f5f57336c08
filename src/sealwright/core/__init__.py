"""The nouns and the ports: every other room speaks in these words."""
