"""Venues' wire formats and sync rules: raw messages in, book updates out. One file a venue."""
