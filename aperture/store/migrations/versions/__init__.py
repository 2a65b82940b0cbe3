"""The revisions: each file says what it changes."""
