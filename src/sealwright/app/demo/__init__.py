"""``seal demo``: a real pipeline is sealed, then attacked through the paths a user would hit."""
