"""The command line `interlayer`: a file a family of commands."""
