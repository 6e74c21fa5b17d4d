"""Judging recordings and topics: are these books as the venue said, and where are they not."""
