"""Models: signed versions, aliases, revocation, export and the checking of what was exported."""
