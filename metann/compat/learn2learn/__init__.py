"""The names and calls of learn2learn."""
