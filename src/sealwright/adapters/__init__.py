"""One file per outside thing: stores, databases, key services. ``app.wiring`` imports them."""
