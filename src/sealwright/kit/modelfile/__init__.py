"""What a model file would do if it were opened, found out without opening it."""
