"""What goes into a room with the script. No file here imports the rest of Sealwright."""
